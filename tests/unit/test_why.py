"""Decisions about jobs: recorded for followed jobs only, and bounded."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.unit.fakes import HandClock
from tests.unit.rig import Rig
from voxpool.leakgate.inside.sizes import type_name
from voxpool.leakgate.readings.series import Bound
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import FAILED, Job
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.why import DECISIONS_MAX, Decision, Followed, Why, tell


def decisions(rig: Rig, job: Job) -> list[Decision]:
    """Return the recorded decisions about `job`."""
    followed = rig.why.of(job.job_id)
    assert followed is not None
    return list(followed.decisions)


async def test_the_history_of_a_followed_job_is_recorded() -> None:
    rig = Rig()
    first, _ = await rig.node("n1")
    job = await rig.submit(why=True)
    rig.clock.ms += 500
    rig.desk.left(first)
    await rig.settle()
    second, _ = await rig.node("n2", slots=3)
    await rig.answer(second, job)
    assert [tell(decision, job.submitted_ms).split("ms  ")[1] for decision in decisions(rig, job)] == [
        "submitted",
        "for attempt 1 looked at n1 free 0/1: n1 is taken",
        "attempt 1 sent to n1",
        "attempt 1 on n1 given up: closed",
        "for attempt 2 looked at no node: none is taken (nobody)",
        "for attempt 2 looked at n2 free 0/3: n2 is taken",
        "attempt 2 sent to n2",
        "ended: completed on n2",
    ]
    assert [decision.at_ms - job.submitted_ms for decision in decisions(rig, job)] == [0, 0, 0, *[500] * 5]


async def test_nothing_is_recorded_or_requested_for_other_jobs() -> None:
    rig = Rig()
    calls: list[str] = []
    run_now = rig.store.run_now

    def noted(batch: Sequence[ScriptCall]) -> list[list[str]]:
        calls.extend(call.name for call in batch)
        return run_now(batch)

    rig.store.run_now = noted  # type: ignore[method-assign, assignment]
    await rig.node("n1", slots=2)
    job = await rig.submit()
    assert "select_node" in calls and "select_explained" not in calls
    assert rig.why.of(job.job_id) is None and len(rig.why) == 0
    await rig.submit(why=True)
    assert "select_explained" in calls


async def test_other_jobs_of_the_same_batch_are_not_recorded() -> None:
    rig = Rig()
    waiting = [await rig.submit(why=asked) for asked in (False, True, False)]
    await rig.node("n1", slots=3)
    assert [rig.why.of(job.job_id) is not None for job in waiting] == [False, True, False]
    assert decisions(rig, waiting[1])[-2].node_id == "n1"


async def test_the_job_followed_longest_makes_room() -> None:
    """The rig's Why follows three."""
    rig = Rig()
    jobs = [await rig.submit(why=True) for _ in range(5)]
    assert [rig.why.of(job.job_id) is not None for job in jobs] == [False, False, True, True, True]


async def test_the_decisions_of_a_failed_job_are_recorded_without_why() -> None:
    rig = Rig(settings=Settings(backoff_s=2, attempts_max=2))
    first, _ = await rig.node("n1")
    job = await rig.submit()
    rig.clock.ms += 100
    await rig.fail(first, job, retryable=True, detail="ValueError: no such speaker")
    await rig.pass_time(2)
    await rig.fail(first, job, retryable=True, detail="ValueError: still none")
    assert [tell(decision, job.submitted_ms).split("ms  ", 1)[1] for decision in decisions(rig, job)] == [
        "submitted",
        "attempt 1 sent to n1",
        "attempt 1 on n1 given up: error (broken_model: ValueError: no such speaker); queued again in 2000 ms",
        "attempt 2 sent to n1",
        "attempt 2 on n1 given up: error (broken_model: ValueError: still none)",
        "ended: attempts_max (the last of 2 attempts, on n1: broken_model: ValueError: still none)",
    ]
    assert [decision.at_ms - job.submitted_ms for decision in decisions(rig, job)] == [0, 0, 100, *[2100] * 3]


async def test_the_decisions_of_a_job_that_completes_after_all_are_dropped() -> None:
    rig = Rig(settings=Settings(backoff_s=0))
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.fail(node, job, retryable=True)
    assert rig.why.of(job.job_id) is not None
    await rig.answer(node, job)
    assert rig.why.of(job.job_id) is None and len(rig.why) == 0


async def test_failures_replace_each_other_and_no_followed_job() -> None:
    """The rig's Why keeps three of each kind."""
    rig = Rig()
    asked = await rig.submit(why=True)
    failed = [await rig.submit(timeout_ms=1000) for _ in range(5)]
    await rig.pass_time(1)
    assert {job.reason for job in failed} == {"expired"}
    assert [rig.why.of(job.job_id) is not None for job in failed] == [False, False, True, True, True]
    assert rig.why.of(asked.job_id) is not None
    assert [decision.what for decision in decisions(rig, failed[-1])] == ["submitted", "ended"]


async def test_without_a_recorder_no_job_is_followed() -> None:
    rig = Rig()
    core = Core.build(
        settings=Settings(),
        clock=rig.clock,
        runner=rig.store,
        sink=rig.sink,
        observer=rig.counts,
        random=random.Random(1),
        instance="test",
    )
    job = core.dispatcher.submit(pair="zh:en", audio=b"a", request_id="r", why=True)
    core.why.job_submitted(job)
    core.dispatcher.end(job, FAILED, reason="expired")
    core.why.job_ended(job)
    assert core.why.of(job.job_id) is None and len(core.why) == 0


def test_its_tables_have_the_bounds_that_it_reports() -> None:
    kept, decision = type_name(Followed), type_name(Decision)
    assert Why(HandClock(0), jobs_max=50, every=0).bounds("why") == {
        "table why.followed": Bound(50, None),
        "table why._failures": Bound(50, None),
        f"type {kept}": Bound(100),
        f"type {decision}": Bound(100 * DECISIONS_MAX),
    }


async def test_a_job_that_leaves_the_table_is_followed_no_more() -> None:
    rig = Rig()
    job = await rig.submit(why=True)
    rig.dispatcher.cancel(job.job_id)
    rig.clock.ms += 400_000
    rig.core.retention.run_once()
    assert rig.dispatcher.find(job.job_id) is None
    assert len(rig.why) == 0


def submitted(why: Why, sequence: int) -> Job:
    """Report a submit to `why`."""
    job = Job(f"j{sequence}", "r", "", "a:b", sequence, 0, b"", 0)
    why.job_submitted(job)
    return job


def test_each_nth_job_is_followed_by_itself() -> None:
    clock: Clock = HandClock(0)
    why = Why(clock, jobs_max=100, every=3)
    jobs = [submitted(why, sequence) for sequence in range(1, 10)]
    assert [job.sequence for job in jobs if why.of(job.job_id)] == [3, 6, 9]


def test_without_room_no_job_is_followed() -> None:
    why = Why(HandClock(0), jobs_max=0, every=1)
    submitted(why, 1)
    assert len(why) == 0


def test_the_oldest_decisions_go_first_and_are_counted() -> None:
    why = Why(HandClock(0), jobs_max=1, every=1)
    job = submitted(why, 1)
    for attempt in range(1, 50):
        why.job_redispatched(job, "n", attempt, "busy")
    followed = why.of(job.job_id)
    assert followed is not None
    assert len(followed.decisions) == DECISIONS_MAX
    assert followed.dropped == 50 - DECISIONS_MAX
    assert followed.decisions[-1].attempt == 49


def test_an_allocation_given_back_is_recorded() -> None:
    why = Why(HandClock(0), jobs_max=1, every=1)
    job = submitted(why, 1)
    why.stale_allocation(job, "n1", "s0-7")
    followed = why.of(job.job_id)
    assert followed is not None
    assert tell(followed.decisions[-1], 0).endswith(
        "allocation of n1 handed back: generation s0-7 isn't connected here"
    )
