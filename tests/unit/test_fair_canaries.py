"""What each rule of fair order is for: a figure with it, and the same one with a planted bug that leaves it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.unit.test_fair import PAIR, Pool
from voxpool.scheduler.core.jobs.fair import FairWaitingJobs
from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.errors import Rejected
from voxpool.sim.planted import fair_bugs

TURNS = 1_000
WAITING_MAX = 200


def part_of_a_closed_loop(pool: Pool) -> float:
    """`b` waits all the time. `a` has one job, and its next comes when that has started: its share of the starts."""
    pool.submit("b", 3 * TURNS)
    pool.submit("a")
    for _ in range(TURNS):
        pool.turn()
        if pool.started[-1] == "a":
            pool.submit("a")
    return share_of("a", pool)


def part_of_what_is_asked_for_in_vain(pool: Pool) -> float:
    """Ten jobs are asked for and one starts: the share of `a`, which waits all the time beside a closed loop of `b`."""
    pool.submit("a", 3 * TURNS)
    pool.submit("b")
    for _ in range(TURNS):
        pool.turn(ask=10, room=None)
        if pool.started[-1] == "b":
            pool.submit("b")
    return share_of("a", pool)


def starts_before_the_last_of_cancelled_jobs(pool: Pool) -> float:
    """`a` cancels 999 of its 1,000 jobs: the starts of `b` before the last one."""
    cancelled = pool.submit("a", TURNS)[:-1]
    pool.submit("b", 2 * TURNS)
    for job in cancelled:
        pool.waiting.discard(job)
    while pool.started[-1:] != ["a"]:
        pool.turn()
    return len(pool.started) - 1


def starts_before_an_urgent_job(pool: Pool) -> float:
    """50 keys wait with priority 5: the most of their starts before each job of priority 1, one in 20 starts."""
    for number in range(50):
        pool.submit(f"batch-{number}", 20, priority=5)
    most = 0
    for _ in range(10):
        pool.submit("live", priority=1)
        before = len(pool.started)
        while "live" not in pool.started[before:]:
            pool.turn()
        most = max(most, len(pool.started) - before - 1)
        while len(pool.started) - before < 20:
            pool.turn()
    return most


def part_of_jobs_that_fail(pool: Pool) -> float:
    """Each job of `a` fails twice by itself before it is done: the share of `a` beside `b`, which never fails."""
    pool.submit("a", TURNS)
    pool.submit("b", TURNS)
    for _ in range(600):
        (job,) = pool.turn().jobs
        if pool.started[-1] == "a" and job.attempt < 3:
            pool.waiting.charge(job)
            pool.waiting.add(job)
    return share_of("a", pool)


def refused_beside_a_flood(pool: Pool) -> float:
    """`a` submits 40 jobs a second, `b` 2.5, and 20 start: the share of the jobs of `b` that are refused."""
    pool.waiting.waiting_max = WAITING_MAX
    made, refused = 0, 0
    for tick in range(8_000):
        submitted(pool, "a")
        if tick % 16 == 0:
            made += 1
            refused += not submitted(pool, "b")
        if tick % 2:
            pool.turn()
    return refused / made


def submitted(pool: Pool, key: str) -> bool:
    """Submit a job of `key`; False when it is refused."""
    try:
        pool.waiting.check_room(PAIR, Share(3, key, 1.0))
    except Rejected:
        return False
    pool.submit(key)
    return True


def share_of(key: str, pool: Pool) -> float:
    """Return the share of the starts that `key` has."""
    return Counter(pool.started)[key] / len(pool.started)


class Canary(NamedTuple):
    """A figure, its range with fair order, and its range with the bug."""

    figure: Callable[[Pool], float]
    fair: tuple[float, float]
    bug: type[FairWaitingJobs]
    broken: tuple[float, float]


CANARIES = {
    "idle keys are forgotten": Canary(part_of_a_closed_loop, (0.499, 0.501), fair_bugs.ForgetsIdleKeys, (0.99, 1.0)),
    "no charge back": Canary(
        part_of_what_is_asked_for_in_vain, (0.499, 0.501), fair_bugs.DoesNotChargeBack, (0.0, 0.01)
    ),
    "tags on jobs": Canary(
        starts_before_the_last_of_cancelled_jobs, (0, 1), fair_bugs.ChargesForWhatIsCancelled, (990, 1_000)
    ),
    "bands as weights": Canary(starts_before_an_urgent_job, (0, 0), fair_bugs.PrioritiesAreWeights, (10, 51)),
    "errors are free": Canary(part_of_jobs_that_fail, (0.495, 0.505), fair_bugs.ErrorsAreFree, (0.74, 0.76)),
    "order without the door": Canary(refused_beside_a_flood, (0.0, 0.0), fair_bugs.HasNoDoor, (0.3, 1.0)),
}


@pytest.mark.parametrize("name", CANARIES)
def test_a_rule_that_is_left_out_shows(name: str) -> None:
    figure, fair, bug, broken = CANARIES[name]
    assert fair[0] <= figure(Pool()) <= fair[1]
    assert broken[0] <= figure(Pool(bug())) <= broken[1]
