"""PCT finds planted bugs at least as often as its bound; random orders are determined by their seed."""

from __future__ import annotations

import pytest
from scipy.stats import beta

from tests.sim.explore.toy_threads import comes_in_order, padded, threads
from voxpool.sim.explore.search.tally import Budget
from voxpool.sim.explore.search.walks import pct_bound, pct_walks, random_walks

ALL = Budget()


def upper_limit(found: int, runs: int, confidence: float = 0.99) -> float:
    """Return the exact upper confidence limit of a share (Clopper and Pearson, one-sided)."""
    return 1.0 if found == runs else float(beta.ppf(confidence, found + 1, runs - found))


@pytest.mark.parametrize(
    ("chains", "length", "names", "runs"),
    [
        (2, 12, ("A3", "B5", "A4"), 4_000),
        (4, 6, ("D3", "A4", "D4"), 4_000),
        (2, 8, ("A3", "B4", "A4", "B5"), 12_000),
        (3, 4, ("C1", "A2", "C2", "A3"), 12_000),
    ],
)
def test_pct_finds_a_planted_bug_no_less_often_than_its_bound(
    chains: int, length: int, names: tuple[str, ...], runs: int
) -> None:
    """The bound is below the upper 99 % limit of the share of finding runs; a smaller depth finds nothing."""
    depth = len(names) - 1
    make_execution = threads(padded(chains, length), comes_in_order(*names))
    tally, sizes = pct_walks(make_execution, depth, runs, seed=1, budget=ALL)
    assert (sizes.chains, sizes.steps) == (chains, chains * length)
    bound = pct_bound(depth, sizes.chains, sizes.steps)
    assert tally.runs == runs
    assert tally.broken_runs > 0
    assert bound < upper_limit(tally.broken_runs, runs), f"{tally.broken_runs} of {runs}, bound {bound:.5f}"
    assert not pct_walks(make_execution, depth - 1, 500, seed=1, budget=ALL)[0].broken_runs


def test_walks_are_determined_by_their_seed() -> None:
    make_execution = threads(padded(3, 4), comes_in_order("C1", "A3"))
    for seed in (1, 2):
        one, other = (random_walks(make_execution, 200, seed, ALL) for _ in range(2))
        assert one.first_broken is not None and other.first_broken is not None
        assert (one.ends, one.first_broken.schedule) == (other.ends, other.first_broken.schedule)
    assert pct_walks(make_execution, 3, 50, 1, ALL)[0].broken == pct_walks(make_execution, 3, 50, 1, ALL)[0].broken


def test_incomplete_walks_are_reported() -> None:
    make_execution = threads(padded(3, 4))
    assert random_walks(make_execution, 10, 1, ALL).is_complete
    assert not random_walks(make_execution, 10, 1, Budget(runs=5)).is_complete
    assert random_walks(make_execution, 10, 1, Budget(seconds=0.0)).runs == 0
