"""A job from submit to end, on production's dispatcher, scripts and memory store."""

import pytest

from tests.unit.rig import AUDIO, Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, DISPATCHED, FAILED, WAITING
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, Error, NodeResult


async def test_a_job_goes_to_a_node_and_its_result_to_the_client() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    job = await rig.submit(session_id="s1")
    assert job.state == DISPATCHED and link.assigns == [(job.job_id, 1)]
    assign = link.of_kind(Assign)[0]
    assert isinstance(assign, Assign)
    assert (assign.audio, assign.pair, assign.deadline_ms, assign.session_id) == (AUDIO, "zh:en", 60_000, "s1")
    await rig.answer(node, job, output={"text": "hello"})
    assert (job.state, job.output, job.audio) == (COMPLETED, {"text": "hello"}, None)
    assert rig.sink.ended == [job] and node.reservations == {} and rig.store.census()["reservations"] == 0


async def test_the_same_request_id_is_the_same_job() -> None:
    """R12: creation is not check-then-act."""
    rig = Rig()
    first = await rig.submit(request_id="once")
    assert await rig.submit(request_id="once") is first
    assert len(rig.core.table) == 1


async def test_a_job_is_found_by_the_number_of_its_submit() -> None:
    rig = Rig()
    first, second = await rig.submit(), await rig.submit()
    assert rig.dispatcher.newest_sequence == second.sequence == 2
    assert [rig.dispatcher.find_sequence(number) for number in range(4)] == [None, first, second, None]


async def test_a_request_id_of_another_job_is_rejected() -> None:
    reported: list[tuple[str, str]] = []

    class Tells(Observer):
        def job_rejected(self, pair: str, reason: str) -> None:
            reported.append((pair, reason))

    rig = Rig(observer=Tells())
    await rig.submit(request_id="once")
    with pytest.raises(Rejected, match="used for another job") as refused:
        await rig.submit(request_id="once", pair="en:zh")
    assert refused.value.reason == "request_id_conflict" and reported == [("en:zh", "request_id_conflict")]


async def test_a_job_waits_for_a_node_that_comes_later() -> None:
    """R15: having no node at the moment is not a failure."""
    rig = Rig()
    job = await rig.submit()
    assert job.state == WAITING
    await rig.pass_time(9)
    node, _ = await rig.node("n1")
    assert job.state == DISPATCHED and job.node_id == node.node_id


async def test_a_job_that_finds_no_node_fails_with_a_reason() -> None:
    rig = Rig()
    job = await rig.submit()
    await rig.pass_time(10)
    assert (job.state, job.reason, rig.sink.ended) == (FAILED, "no_node", [job])
    assert len(rig.core.waiting) == 0


async def test_a_job_whose_nodes_are_full_for_too_long_fails_with_a_reason() -> None:
    rig = Rig()
    await rig.node("n1")
    _, late = await rig.submit(), await rig.submit()
    await rig.pass_time(10)
    assert (late.state, late.reason, late.retryable) == (FAILED, "waiting_timeout", True)


async def test_waiting_jobs_get_free_slots_in_the_order_of_their_submits() -> None:
    rig = Rig()
    node, link = await rig.node("n1", slots=2)
    jobs = [await rig.submit() for _ in range(5)]
    assert [job.state for job in jobs] == [DISPATCHED] * 2 + [WAITING] * 3
    for job in jobs:
        await rig.answer(node, job)
    assert [job_id for job_id, _ in link.assigns] == [job.job_id for job in jobs]
    assert all(job.state == COMPLETED for job in jobs)


async def test_a_job_is_given_only_to_a_node_that_serves_its_pair() -> None:
    """Defect C7."""
    rig = Rig()
    await rig.node("n1", pairs=["en:zh"])
    job = await rig.submit(pair="zh:en")
    assert job.state == WAITING
    await rig.node("n2", pairs=["zh:en", "en:zh"])
    assert job.node_id == "n2"


async def test_a_node_without_an_answer_loses_the_job_once_per_timeout() -> None:
    """R2: the dispatch time of the first attempt is not kept."""
    rig = Rig(settings=Settings(dispatch_timeout_s=20, lease_s=1000, heartbeat_s=300))
    _, first = await rig.node("n1")
    job = await rig.submit()
    await rig.node("n2")
    await rig.pass_time(20)
    assert (job.node_id, job.attempt, job.redispatches) == ("n2", 2, 1)
    assert first.of_kind(CancelAttempt) == [CancelAttempt(job.job_id, 1)]
    await rig.pass_time(19)
    assert rig.counts.of["redispatched:timeout"] == 1


async def test_a_job_that_no_node_answers_fails_after_three_redispatches() -> None:
    """R3: attempts are counted."""
    rig = Rig(settings=Settings(dispatch_timeout_s=5, lease_s=1000, heartbeat_s=300))
    await rig.node("n1")
    await rig.node("n2")
    job = await rig.submit()
    await rig.pass_time(60)
    assert (job.state, job.reason, job.attempt) == (FAILED, "attempts_max", 4)
    assert rig.store.census()["reservations"] == 0


async def test_a_late_result_changes_nothing_and_is_counted() -> None:
    """R4, R11: the attempt is the fence."""
    rig = Rig(settings=Settings(dispatch_timeout_s=5, lease_s=1000, heartbeat_s=300))
    slow, link = await rig.node("n1")
    job = await rig.submit()
    other, _ = await rig.node("n2")
    await rig.pass_time(5)
    assert job.node_id == "n2"
    await rig.answer(slow, job, output="late", attempt=1)
    assert job.state == DISPATCHED and rig.counts.of["late_result"] == 1
    answer = link.of_kind(Error)[0]
    assert isinstance(answer, Error) and answer.reason == "not_held"
    await rig.answer(other, job, output="right")
    assert (job.output, rig.sink.ended) == ("right", [job])


async def test_a_result_given_twice_ends_the_job_once() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.answer(node, job, output="first")
    await rig.answer(node, job, output="second")
    assert (job.output, rig.sink.ended) == ("first", [job])


async def test_a_retryable_error_sends_the_job_to_another_node() -> None:
    rig = Rig(settings=Settings(backoff_s=0))
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.node("n2")
    await rig.fail(node, job, retryable=True)
    assert (job.node_id, job.redispatches) == ("n2", 1)


async def test_a_final_error_fails_the_job_with_its_reason() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.fail(node, job, retryable=False)
    assert (job.state, job.reason, job.audio) == (FAILED, "broken_model", None)


@pytest.mark.parametrize("dispatched", [True, False])
async def test_cancel_ends_a_job_and_reaches_its_node_with_the_attempt(dispatched: bool) -> None:
    rig = Rig()
    _, link = await rig.node("n1", pairs=["zh:en" if dispatched else "en:zh"])
    job = await rig.submit()
    assert rig.dispatcher.cancel(job.job_id) is job
    await rig.settle()
    assert (job.state, rig.sink.ended, rig.store.census()["reservations"]) == (CANCELLED, [job], 0)
    assert link.of_kind(CancelAttempt) == ([CancelAttempt(job.job_id, 1)] if dispatched else [])
    rig.dispatcher.cancel(job.job_id)
    assert rig.sink.ended == [job]


async def test_a_job_cancelled_during_its_select_leaves_no_reservation() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    job = rig.dispatcher.submit(pair="zh:en", audio=AUDIO, request_id="r")
    selected = rig.dispatcher.compose_select()
    assert selected is not None
    call, on_answer = selected
    answer = (await rig.store.run([call]))[0]
    rig.dispatcher.cancel(job.job_id)
    on_answer(answer)
    await rig.settle()
    assert link.assigns == [] and rig.store.census()["reservations"] == 0
    following = await rig.submit()
    assert following.node_id == node.node_id


async def test_a_job_given_up_by_its_client_fails_in_any_state() -> None:
    rig = Rig()
    waits = await rig.submit(timeout_ms=3000)
    await rig.pass_time(3)
    assert (waits.state, waits.reason) == (FAILED, "expired")
    _, link = await rig.node("n1")
    runs = await rig.submit(timeout_ms=3000)
    await rig.pass_time(3)
    assert (runs.state, runs.reason) == (FAILED, "expired")
    assert link.of_kind(CancelAttempt) == [CancelAttempt(runs.job_id, 1)]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(jobs_max=1), "jobs_max"),
        (Settings(audio_total_bytes_max=len(AUDIO)), "audio_total_bytes_max"),
        (Settings(audio_bytes_max=3), "audio_too_large"),
    ],
)
async def test_past_a_bound_a_submit_is_rejected_with_its_reason(settings: Settings, reason: str) -> None:
    rig = Rig(settings=settings)
    with pytest.raises(Rejected) as refused:
        for _ in range(2):
            await rig.submit()
    assert refused.value.reason == reason and rig.counts.of[f"rejected:{reason}"] == 1
    assert (refused.value.retry_after_ms is None) == (reason == "audio_too_large")


async def test_a_session_prefers_the_node_of_its_last_job_until_it_ends() -> None:
    rig = Rig()
    nodes = {f"n{i}": await rig.node(f"n{i}", slots=50) for i in range(8)}
    first = await rig.submit(session_id="s1", affinity=True)
    for _ in range(20):
        job = await rig.submit(session_id="s1", affinity=True)
        assert job.node_id == first.node_id
    node, _ = nodes[first.node_id]
    rig.desk.left(node)
    await rig.settle()
    moved = await rig.submit(session_id="s1", affinity=True)
    assert moved.state == DISPATCHED and moved.node_id != first.node_id
    rig.dispatcher.session_closed("s1")
    assert len(rig.dispatcher.affinity) == 0


async def test_a_job_given_up_with_its_session_is_started_anew_by_its_request_id() -> None:
    """R-4: it was not cancelled, so a repeated submit starts it; a job that had ended is not changed."""
    rig = Rig(settings=Settings(retention_s=1.0))
    node, _ = await rig.node("n1", slots=2)
    done, given_up = [await rig.submit(session_id="s1", request_id=name) for name in ("done", "given-up")]
    await rig.answer(node, done)
    rig.dispatcher.session_closed("s1", [done.job_id, given_up.job_id])
    assert (given_up.state, given_up.reason, given_up.retryable) == (CANCELLED, "session_gone", True)
    assert await rig.submit(session_id="s1", request_id="done") is done and done.state == COMPLETED
    anew = await rig.submit(session_id="s1", request_id="given-up")
    assert anew is not given_up and anew.state == DISPATCHED
    await rig.pass_time(2)
    rig.core.retention.run_once()
    assert rig.dispatcher.find(given_up.job_id) is None
    assert await rig.submit(session_id="s1", request_id="given-up") is anew, "the end of the old one took nothing along"


async def test_a_finished_job_stays_for_its_retention_counted_from_its_end() -> None:
    """M2: a job that ran for 301 s can still be looked up."""
    rig = Rig(settings=Settings(dispatch_timeout_s=900, lease_s=4000, heartbeat_s=1000))
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.pass_time(301, step_s=100)
    await rig.answer(node, job)
    await rig.pass_time(300, step_s=100)
    assert rig.core.retention.run_once() == 0 and rig.dispatcher.find(job.job_id) is job
    await rig.pass_time(1)
    assert rig.core.retention.run_once() == 1 and rig.dispatcher.find(job.job_id) is None


async def test_no_node_is_preferred_without_session_affinity() -> None:
    rig = Rig()
    await rig.node("n1", slots=2)
    in_session, outside = await rig.submit(session_id="s1"), await rig.submit(affinity=True)
    assert not in_session.affinity and not outside.affinity
    assert len(rig.dispatcher.affinity) == 0


async def test_too_large_audio_is_rejected_with_the_limit() -> None:
    rig = Rig(settings=Settings(audio_bytes_max=len(AUDIO) - 1))
    with pytest.raises(Rejected, match=f"at most {len(AUDIO) - 1} bytes"):
        await rig.submit()


async def test_an_ended_job_has_no_deadline() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit(timeout_ms=30_000)
    assert job.deadline_ms == job.submitted_ms + 30_000
    await rig.answer(node, job)
    assert job.deadline_ms == 0 and job.avoid == ()


async def test_a_job_that_waits_again_has_no_node() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit()
    rig.desk.left(node)
    await rig.settle()
    assert (job.state, job.node_id) == (WAITING, "")


async def test_a_freed_slot_is_room_for_one_job() -> None:
    """Otherwise ten thousand waiting jobs would cost one select a release each."""
    rig = Rig()
    node, _ = await rig.node("n1")
    jobs = [await rig.submit() for _ in range(3)]
    assert dict(rig.core.waiting.credits()) == {"zh:en": 0}
    rig.desk.result(node, NodeResult(jobs[0].job_id, 1, output="text"))
    assert dict(rig.core.waiting.credits()) == {"zh:en": 1}
