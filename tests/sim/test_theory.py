"""A pool of the production path is the FIFO queue of the textbooks: each start of a job, and the means."""

from __future__ import annotations

import math
import random

import pytest

from voxpool.sim.chance.distributions import Distribution, Even, Exponential, Lognormal
from voxpool.sim.experiments.theory import question as experiment
from voxpool.sim.report.theory import (
    batch_means,
    erlang_c,
    erlang_c_wait,
    erlang_c_wait_percentile,
    ggc_starts,
    mm1_relaxation_s,
    mm1_wait,
    mm1_wait_percentile,
)


def test_the_recursion_on_a_case_done_by_hand() -> None:
    """Two servers: the third job waits for the end of the first at 5, the fourth for the end of the second at 6."""
    assert ggc_starts([0, 1, 2, 3], [5, 5, 1, 1], servers=2) == [0, 1, 5, 6]


def test_erlang_c_on_cases_from_the_textbook() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1
    assert erlang_c(2, 0.5) == pytest.approx(1 / 3)  # 2 rho^2 / (1 + rho)
    assert erlang_c_wait(1, 0.7, 2.0) == pytest.approx(0.7 * 2 / 0.3)


def test_erlang_c_is_the_mean_of_the_recursion() -> None:
    rng = random.Random(1)
    at, arrivals, works = 0.0, [], []
    for _ in range(300_000):
        at += rng.expovariate(0.8 * 3 / 2.0)
        arrivals.append(at)
        works.append(rng.expovariate(0.5))
    starts = ggc_starts(arrivals, works, servers=3)
    waits = [start - arrival for start, arrival in zip(starts, arrivals, strict=True)]
    assert batch_means(waits, 0.999).holds(erlang_c_wait(3, 0.8, 2.0))


def test_the_interval_of_batch_means_is_wider_than_that_of_single_values() -> None:
    values = [float(i // 100 % 2) for i in range(30_000)]  # long stretches of 0 and 1
    assert batch_means(values, batches=30).mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="too few"):
        batch_means([1.0, 2.0])


@pytest.mark.parametrize("load", experiment.LOADS)
@pytest.mark.parametrize(
    "work_s", [Exponential(2.0), Even(2.0, spread=1.0), Lognormal(2.0, cv=2.0)], ids=lambda work: type(work).__name__
)
def test_every_start_of_work_matches_the_recursion(load: float, work_s: Distribution) -> None:
    """The path costs no time and no job overtakes another, so the starts are exactly equal."""
    found = experiment.compare(load, jobs=2000, seed=5, work_s=work_s)
    assert found.off_s <= experiment.TOLERANCE_S
    assert found.broken == []
    assert found.jobs > 1800


def test_the_command_reports_that_theory_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert experiment.main(["--jobs", "1500"]) == 0
    assert capsys.readouterr().out.count("holds") == 2


def test_one_server_is_a_special_case_of_many() -> None:
    assert mm1_wait(0.7, 2.0) == pytest.approx(erlang_c_wait(1, 0.7, 2.0))
    assert mm1_wait_percentile(0.7, 2.0, 0.99) == pytest.approx(erlang_c_wait_percentile(1, 0.7, 2.0, 0.99))


def test_one_percent_wait_longer_than_the_percentile() -> None:
    at = erlang_c_wait_percentile(5, 0.8, 2.0, 0.99)
    assert erlang_c(5, 0.8) * math.exp(-5 * (1 - 0.8) * at / 2.0) == pytest.approx(0.01)
    assert erlang_c_wait_percentile(200, 0.5, 2.0, 0.99) == 0.0  # nobody waits
    assert mm1_wait_percentile(0.005, 2.0, 0.99) == 0.0


def test_a_full_server_forgets_its_start_slowly() -> None:
    assert mm1_relaxation_s(0.81, 2.0) == pytest.approx(200.0)
    assert mm1_relaxation_s(0.25, 2.0) == pytest.approx(8.0)
