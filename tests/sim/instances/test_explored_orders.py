"""Several schedulers on one store: drawn orders of their steps find nothing wrong, and each planted bug.

VOXPOOL_INSTANCE_SEEDS=1000 makes it run longer.
"""

from __future__ import annotations

import os

import pytest

from voxpool.scheduler.config import FAIR
from voxpool.sim.instances.planted import planted_bugs
from voxpool.sim.instances.play import play
from voxpool.sim.instances.scheduler import SteppedFeed
from voxpool.sim.instances.world import Parts

SEEDS = int(os.environ.get("VOXPOOL_INSTANCE_SEEDS", "25"))
SEEDS_TO_FIND = 100
STEPS = 600
BUGS = planted_bugs()


@pytest.mark.parametrize("loses_writes", [False, True], ids=["deaths", "lost writes"])
def test_drawn_orders_find_nothing_wrong(loses_writes: bool) -> None:
    """Schedulers die, stall and are skewed, answers and hints get lost; each request ends once, and nothing is left."""
    ended = deaths = losses = ran_twice = 0
    for seed in range(1, SEEDS + 1):
        played = play(seed, STEPS, loses_writes)
        assert played.wrong == [], f"seed {seed}"
        ended += played.requests
        deaths += played.deaths
        losses += played.losses
        ran_twice += played.ran_twice
    assert ended > 50 * SEEDS and deaths > SEEDS and ran_twice > 0
    assert (losses > SEEDS // 2) == loses_writes


@pytest.mark.parametrize("loses_writes", [False, True], ids=["deaths", "lost writes"])
def test_with_the_order_fair_they_find_nothing_wrong_either(loses_writes: bool) -> None:
    """Keys with weights in two priorities: each request ends once, and no key leaves anything."""
    for seed in range(1, SEEDS // 3 + 1):
        assert play(seed, STEPS, loses_writes, Parts(order=FAIR)).wrong == [], f"seed {seed}"


@pytest.mark.parametrize("seed", [14045, 15029])
def test_seeds_that_found_bugs_find_nothing(seed: int) -> None:
    """A claim over an earlier attempt; a store that had gone back to one: each one of hundreds of seeds."""
    assert play(seed, STEPS, loses_writes=True).wrong == []


def test_batches_that_are_cut_change_nothing() -> None:
    """With one job a call, flushes leave much behind; the order of what depends on each other stays."""

    class OneAtATime(SteppedFeed):
        batch_max = 1

    for seed in range(1, 9):
        assert play(seed, STEPS, parts=Parts(OneAtATime)).wrong == [], f"seed {seed}"


def test_the_same_seed_is_the_same_run() -> None:
    assert play(3, 300, True) == play(3, 300, True)
    assert play(3, 300, True) != play(4, 300, True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    assert any(play(seed, STEPS, bug.loses_writes, bug.parts).wrong for seed in range(1, SEEDS_TO_FIND + 1))
