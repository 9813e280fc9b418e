"""Accepted and rejected submits, and their times to retry."""

from __future__ import annotations

import pytest

from tests.unit.rig import Link, Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.admission.intake import LATE_SHARE, LATE_SPARE_MAX
from voxpool.scheduler.core.admission.wait_times import AFTER_MS_MAX, LATE_MS_MIN, PLACES_MAX, Line, ReturnTimes
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED
from voxpool.scheduler.core.jobs.reasons import WAITING_TIMEOUT
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import NodeResult


async def refused(rig: Rig, pair: str = "zh:en", timeout_ms: int | None = None) -> Rejected | None:
    """Submit; return the rejection, or None when it was accepted."""
    try:
        if timeout_ms is None:
            await rig.submit(pair)
        else:
            await rig.submit(pair, timeout_ms=timeout_ms)
    except Rejected as rejected:
        return rejected
    return None


async def work(rig: Rig, link: Link, seconds: float) -> None:
    """Let each job of the only node take a second, for `seconds`."""
    for _ in range(round(seconds)):
        await rig.pass_time(1)
        node = rig.core.node_registry.nodes["n"]
        for job in list(node.reservations.values()):
            rig.desk.result(node, NodeResult(job.job_id, job.attempt, output=1))
        await rig.settle()


async def test_a_pair_without_a_node_accepts_jobs_for_a_while_after_the_start() -> None:
    rig = Rig()
    assert await refused(rig) is None
    await rig.pass_time(10)
    rejected = await refused(rig)
    assert rejected is not None and (rejected.reason, rejected.retry_after_ms) == ("no_node", 10_000)
    await rig.pass_time(500)
    rejected = await refused(rig)
    assert rejected is not None and rejected.retry_after_ms == 60_000


async def test_a_pair_accepts_jobs_for_a_while_after_its_last_node_left_or_drained() -> None:
    rig = Rig()
    node, _ = await rig.node("n", ["zh:en", "en:zh"])
    await rig.pass_time(30)
    rig.desk.drain(node, True)
    await rig.settle()
    assert await refused(rig) is None and await refused(rig, "en:zh") is None
    await rig.pass_time(11)
    assert await refused(rig) is not None
    rig.desk.drain(node, False)
    await rig.settle()
    assert await refused(rig) is None
    rig.desk.left(node)
    await rig.pass_time(9)
    assert await refused(rig) is None, "the time counts from when the node left"


async def test_a_grace_of_zero_is_none() -> None:
    rejected = await refused(Rig(settings=Settings(no_node_grace_s=0)))
    assert rejected is not None and (rejected.reason, rejected.retry_after_ms) == ("no_node", 1000)


async def test_pairs_of_single_submits_are_forgotten() -> None:
    rig = Rig()
    for number in range(50):
        rig.dispatcher.cancel((await rig.submit(f"a{number}:b")).job_id)
    await rig.pass_time(100)
    node, _ = await rig.node("n")
    rig.desk.left(node)
    await rig.settle()
    assert len(rig.core.intake) == 1 and rig.core.intake.unfinished == 0


async def test_only_a_submit_that_would_wait_too_long_is_rejected() -> None:
    rig = Rig()
    _, link = await rig.node("n")
    await rig.submit()
    await work(rig, link, 1)
    accepted = 0
    while (rejected := await refused(rig)) is None:
        accepted += 1
    assert 5 <= accepted <= 11, "a second each, and ten of them"
    assert rejected.reason == "overloaded" and (rejected.retry_after_ms or 0) >= 1000
    tight = await refused(rig, timeout_ms=500)
    assert tight is not None and tight.reason == "overloaded"
    await work(rig, link, accepted + 1)
    assert {job.state for job in rig.sink.ended} == {COMPLETED}


async def test_refused_submits_get_times_of_their_own_past_the_wait() -> None:
    rig = Rig()
    _, link = await rig.node("n")
    await rig.submit()
    await work(rig, link, 1)
    while (rejected := await refused(rig)) is None:
        pass
    ((_, wait_ms),) = rig.core.intake.expected_waits_ms()
    tight = await refused(rig, timeout_ms=2000)
    assert tight is not None and (tight.retry_after_ms or 0) > wait_ms - 1000, "it has a second to wait, one to run"
    times_ms = [rejected.retry_after_ms or 0]
    for _ in range(30):
        again = await refused(rig)
        assert again is not None
        times_ms.append(again.retry_after_ms or 0)
    assert times_ms == sorted(times_ms) and times_ms[-1] - times_ms[-3] == 2000, "a start takes a second"


async def test_a_job_in_time_restores_the_share_that_may_be_late() -> None:
    """Half of the most is lost with each job that found no slot in time, and none is left after two."""
    rig = Rig(settings=Settings(waiting_timeout_s=10))
    _, link = await rig.node("n")
    await rig.submit()
    await work(rig, link, 1)
    held = await rig.submit()
    pair = rig.core.intake._pairs["zh:en"]
    late = [await rig.submit() for _ in range(3)]
    for number, spare in enumerate((LATE_SPARE_MAX / 2, 0.0, 0.0)):
        rig.dispatcher.end(late[number], FAILED, reason=WAITING_TIMEOUT)
        assert pair.late_spare == pytest.approx(spare, abs=0.02)
    spare = pair.late_spare
    await rig.submit()
    assert pair.late_spare == pytest.approx(spare + LATE_SHARE, abs=5e-4) and not held.ended


async def test_a_submit_that_can_start_at_once_is_never_rejected_for_its_timeout() -> None:
    rig = Rig()
    _, link = await rig.node("n", slots=2)
    await rig.submit()
    await work(rig, link, 1)
    assert await refused(rig, timeout_ms=1) is None


async def test_a_redispatched_job_is_not_rejected() -> None:
    rig = Rig()
    node, link = await rig.node("n", slots=8)
    await rig.submit()
    await work(rig, link, 5)
    jobs = [await rig.submit() for _ in range(8)]
    while await refused(rig) is None:
        pass
    rig.desk.left(node)
    await rig.settle()
    assert all(not job.ended for job in jobs)


def test_rejected_submits_get_successive_times_to_retry() -> None:
    times, line = ReturnTimes(), Line()
    given = [times.give(f"r{number}", line, 0, 1000, 500.0) for number in range(10)]
    assert given == [1000, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000]
    assert times.give("r9", line, 2000, 1000, 500.0) == 3000, "one that comes too early keeps its place"
    assert not times.is_due("r9", 4999) and times.is_due("r9", 5000) and times.is_due("r9", 5000 + LATE_MS_MIN)
    assert not times.is_due("r9", 5000 + 2501 + LATE_MS_MIN)
    times.accepted("r9")
    assert len(times) == line.places == 9


def test_without_repeated_submits_the_times_to_retry_get_shorter() -> None:
    times, line = ReturnTimes(), Line()
    after_ms = 0
    for number in range(2000):
        after_ms = times.give(f"r{number}", line, 100 * number, 1000, 250.0)
    assert after_ms == 1000 and line.share < 0.1 and len(times) < 100


def test_the_times_to_retry_and_their_memory_are_bounded() -> None:
    times, line = ReturnTimes(places_max=100), Line()
    for number in range(1000):
        assert times.give(f"r{number}", line, 0, 1000, 500.0) <= AFTER_MS_MAX
    assert len(times) == line.places == 100
    assert PLACES_MAX >= 1000


@pytest.mark.parametrize("dispatched", [False, True])
async def test_only_a_job_that_never_started_is_started_anew(dispatched: bool) -> None:
    rig = Rig(settings=Settings(attempts_max=1, dispatch_timeout_s=5))
    if dispatched:
        await rig.node("n")
    first = await rig.submit(request_id="once")
    await rig.pass_time(20)
    assert first.state == "failed"
    if not dispatched:
        await rig.node("n")
    again = await rig.submit(request_id="once")
    assert (again is first) is dispatched
    assert rig.core.table.find_request("once") is again and rig.core.table.begun_anew == (not dispatched)
