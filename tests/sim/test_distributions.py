"""Draws have the requested mean and spread, and depend on their own seed only."""

from __future__ import annotations

import statistics

import pytest

from voxpool.sim.chance.distributions import Distribution, Empirical, Even, Exponential, Gamma, Lognormal, Pareto, draws
from voxpool.sim.chance.seeds import generator, plain_random, sub_seed

COUNT = 200_000


@pytest.mark.parametrize(
    ("distribution", "mean", "cv"),
    [
        (Even(2.0), 2.0, 0.0),
        (Even(2.0, spread=0.5), 2.0, 0.5 / 3**0.5),
        (Exponential(2.0), 2.0, 1.0),
        (Lognormal(2.0, cv=0.7), 2.0, 0.7),
        (Gamma(2.0, cv=1.5), 2.0, 1.5),
        (Pareto(2.0, shape=6.0), 2.0, (1 / (6 * 4)) ** 0.5),
        (Empirical("", values=(1.0, 3.0)), 2.0, 0.5),
        (Empirical("", mean=20.0, values=(1.0, 3.0)), 20.0, 0.5),
    ],
    ids=str,
)
def test_mean_and_spread(distribution: Distribution, mean: float, cv: float) -> None:
    draw = draws(distribution, generator(1, "test"))
    values = [draw() for _ in range(COUNT)]
    assert statistics.fmean(values) == pytest.approx(mean, rel=0.02)
    assert statistics.pstdev(values) / mean == pytest.approx(cv, rel=0.05)
    assert min(values) >= 0


def test_the_same_seed_and_part_give_the_same_draws() -> None:
    def first(seed: int, part: str) -> list[float]:
        draw = draws(Exponential(1.0), generator(seed, part))
        return [draw() for _ in range(5)]

    assert first(1, "a") == first(1, "a")
    assert len({tuple(first(seed, part)) for seed in (1, 2) for part in ("a", "b")}) == 4


def test_draws_do_not_depend_on_how_many_are_made_at_a_time() -> None:
    draw = draws(Gamma(1.0), generator(1, "a"))
    rng = generator(1, "a")
    assert [draw() for _ in range(3000)] == [float(Gamma(1.0).block(rng, 1)[0]) for _ in range(3000)]


def test_sub_seeds_are_the_same_everywhere() -> None:
    """The expected values are constants: they hold in every process, on every Python version and machine."""
    assert sub_seed(1, "scheduler") == 3955143695397904122
    assert plain_random(1, "nodes").random() == 0.7053455571688555
