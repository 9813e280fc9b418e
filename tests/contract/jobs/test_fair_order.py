"""Jobs in Redis with the order fair: the turns are the expected ones on every store, and no key leaves anything."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.contract.jobs.driver import Driver, random_steps
from tests.contract.jobs.test_jobs_on_all_stores import BATCH, commands_of
from tests.contract.jobs.test_planted_job_bugs import sources_with
from tests.contract.sides import MemorySide, ServerSide, Side
from tests.contract.steps import START_MS
from tests.contract.test_planted_bugs import Bug
from voxpool.scheduler.config import FAIR
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ScriptFailed
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import Bounds, Submit, turn_of
from voxpool.scheduler.stores.script_sources import JOBS

PAIR = "a:b"
ROOM = Bounds(10**6, 10**9, 10**6)
COMMANDS_MAX = 4

BUGS = {
    "a key that begins to wait starts at the front": Bug(
        "_turns", "flow.start = math.max(flow.start, virtual_time(way.lane)) end", "flow.start = BEGIN end"
    ),
    "a key that is ahead is forgotten when its last job is taken": Bug(
        "_turns", "flow.waits or flow.tail ~= '|' and flow.start > virtual_time(lane)", "flow.waits"
    ),
    "a job is taken free of charge": Bug("_turns", "flow.start = flow.start + flow.cost", ""),
    "the virtual time stands still": Bug(
        "_turns", "times[flow.lane] = math.max(virtual_time(flow.lane), flow.start)", ""
    ),
    "all keys have the same weight": Bug("_turns", "flow.cost = way.cost -- the weight", "flow.cost = COST --"),
    "a job that came back waits for its turn": Bug(
        "_turns", "j.attempt ~= j.first and way.lane .. '|' or way.flow", "way.flow"
    ),
    "an error is not charged": Bug("requeue", "if word == 'OK' and counted == '2' and", "if false and"),
    "a flow stays when its last job is cancelled": Bug("_turns", "if flow.is_shorter then", "if false then"),
    "a lane in which nobody waits is remembered": Bug(
        "_turns", "if not is_used and #members_of(FLOWS, lane, 1) == 0 then", "if false then"
    ),
    "nobody is told of the keys before": Bug("place", "if start then keys", "if false then keys"),
    "nobody is told of the priorities above": Bug("place", "higher = higher + waiting_of", "higher = 0 * waiting_of"),
    "a key may fill the room": Bug(
        "submit", "way.flow) * way.cost >= COST * left and 'share'", "way.flow) < 0 and 'share'"
    ),
    "a key may have all jobs": Bug("submit", "jobs * way.cost >= COST * (jobs_max", "0 > COST * (jobs_max"),
    "a key may have all bytes": Bug("submit", "(bytes + size) * way.cost > COST * (bytes_max", "0 > COST * (bytes_max"),
    "a key without a job is refused": Bug("submit", "return jobs > 0 and (", "return ("),
    "jobs in other partitions do not count": Bug("submit", "if key == way.key then jobs", "if false then jobs"),
    "the jobs of all who have no token are counted": Bug("_keys", "if key == '*' then return end", ""),
    "a job that has ended stays with its key": Bug("finish", "if turn then keys_of", "if false then keys_of"),
    "a job that was cancelled stays with its key": Bug(
        "_whole", "if j.turn ~= '' then keys_of", "if false then keys_of"
    ),
    "a key without a job is remembered": Bug("_keys", "if jobs > 0 then", "if true then"),
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS.keys())
def test_a_planted_bug_is_found(bug: Bug) -> None:
    sources = sources_with(bug)
    with pytest.raises((AssertionError, ScriptFailed)):
        for seed in range(12):
            driver = Driver([MemorySide(sources, JOBS)], order=FAIR)
            for kind, number in random_steps(seed, 600):
                driver.step(kind, number)


def submits(*jobs: Submit, scheduler: str = "A") -> ScriptCall:
    return calls.submit(scheduler, START_MS, 0, 8_000, ROOM, jobs)


def a_job(name: str, key: str, weight: float = 1, priority: int = 3) -> Submit:
    return Submit(f"0.{name}", PAIR, False, 0, 3, 10, "c", "", "m", turn_of(priority, key, weight))


def taken(side: Side, count: int, scheduler: str = "A") -> list[str]:
    """Take jobs and return their names."""
    (answer,) = side.run([calls.take(scheduler, START_MS, 0, [(PAIR, count, True)], FAIR)])
    return [row.job_id.removeprefix("0.") for row in calls.taken_of(answer)]


def begin(side: Side) -> None:
    side.clear()
    side.run([calls.beat(name, START_MS, 10_000, 8_000, 500, True) for name in ("A", "B", "C")])


def test_a_sparse_key_is_behind_one_job_of_each_other_one(job_sides: list[Side]) -> None:
    for side in job_sides:
        begin(side)
        for key in ("flood", "storm"):
            side.run([submits(*(a_job(f"{key}{number}", key) for number in range(40)))])
        assert len(taken(side, 10)) == 10
        side.run([submits(a_job("sparse", "sparse"))])
        assert "sparse" in taken(side, 3), side.name


def test_schedulers_share_one_order_and_weights_hold_over_them(job_sides: list[Side]) -> None:
    """Three schedulers take in turn: a key of weight 3 gets three of four jobs."""
    for side in job_sides:
        begin(side)
        for key, weight in (("heavy", 3), ("light", 1)):
            side.run([submits(*(a_job(f"{key}-{number}", key, weight) for number in range(60)))])
        found = Counter[str]()
        for number in range(24):
            found.update(name.partition("-")[0] for name in taken(side, 1 + number % 3, "ABC"[number % 3]))
        assert found == {"heavy": 36, "light": 12}, side.name


def test_a_higher_priority_comes_first_and_a_cancelled_flood_owes_nothing(job_sides: list[Side]) -> None:
    for side in job_sides:
        begin(side)
        side.run([submits(*(a_job(f"flood{number}", "flood") for number in range(50)))])
        side.run([submits(a_job("other", "other"), a_job("urgent", "flood", priority=1))])
        side.run([calls.cancel("A", START_MS, [(f"0.flood{number}", "x", "") for number in range(49)])])
        assert taken(side, 3) == ["urgent", "flood49", "other"], side.name


def test_keys_of_one_job_each_leave_nothing(job_sides: list[Side]) -> None:
    """At most 100 keys without a waiting job are remembered while others wait, and none when nobody does."""
    for side in job_sides:
        begin(side)
        side.run([submits(a_job("first", "stays"), a_job("second", "stays"))])
        assert taken(side, 1) == ["first"]
        for batch in range(12):
            side.run([submits(*(a_job(f"{batch}-{number}", f"key-{batch}-{number}") for number in range(40)))])
            taken(side, 40)
            assert len(side.dump()["turns"]) <= 100 + 2 * 40, side.name
        while taken(side, 50):
            pass
        assert not {"flows", "turns", "waiting"} & set(side.dump()), side.name


def test_commands_of_a_job_stay_few(job_sides: list[Side]) -> None:
    """A server counts at most 4 commands a job that waits, in batches of 16, with 2,000 jobs of 100 keys that wait."""
    for side in job_sides:
        if not isinstance(side, ServerSide):
            continue
        begin(side)
        for batch in range(40):
            side.run([submits(*(a_job(f"w{batch}-{number}", f"key{number}") for number in range(50)))])
        before = commands_of(side)
        for batch in range(4):
            side.run([submits(*(a_job(f"{batch}-{number}", f"key{number}") for number in range(BATCH)))])
            ends = [(f"0.{name}", 1, "c", "out") for name in taken(side, BATCH, "B")]
            side.run([calls.finish("B", START_MS, ends), calls.mail("A", "9" * 16, 500)])
        assert (commands_of(side) - before) / (4 * BATCH) <= COMMANDS_MAX, side.name
