"""Attempts that a worker answered with an error: the pause before the next one, their number, the reported error."""

from __future__ import annotations

import pytest

from tests.unit.rig import Link, Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, DISPATCHED, FAILED, WAITING, Job
from voxpool.scheduler.protocol.messages import Assign

QUIET = {"lease_s": 4000.0, "heartbeat_s": 1000.0, "dispatch_timeout_s": 500.0, "rest_after_failures": 0}


async def fail_until_it_ends(rig: Rig, **submit: int) -> tuple[Job, list[int]]:
    """Submit a job to a node that fails each attempt at once; return the job and the start of each attempt in ms."""
    node, link = await rig.node("n1")
    job = await rig.submit(**submit)  # type: ignore[arg-type]
    began = []
    while not job.ended:
        if job.state == DISPATCHED:
            began.append(rig.clock.ms - job.submitted_ms)
            await rig.fail(node, job, retryable=True, detail=f"ValueError: try {len(began)}")
        else:
            await rig.pass_time(0.1, step_s=0.1)
    assert len(link.of_kind(Assign)) == len(began)
    return job, began


async def test_the_pause_between_two_attempts_doubles_up_to_its_bound() -> None:
    settings = Settings(backoff_s=0.5, backoff_max_s=3, attempts_max=6, **QUIET)  # type: ignore[arg-type]
    job, began = await fail_until_it_ends(Rig(settings=settings))
    assert began == [0, 500, 1500, 3500, 6500, 9500]
    assert (job.state, job.reason, job.attempt) == (FAILED, "attempts_max", 6)
    assert job.detail == "the last of 6 attempts, on n1: broken_model: ValueError: try 6"


@pytest.mark.parametrize(
    ("asked", "times"),
    [
        ({"attempts_max": 1}, [0]),
        ({"attempts_max": 3, "backoff_ms": 200}, [0, 200, 600]),
        ({"backoff_ms": 0}, [0, 0]),
        ({}, [0, 1000]),
    ],
)
async def test_a_submit_may_set_attempts_and_backoff(asked: dict[str, int], times: list[int]) -> None:
    settings = Settings(backoff_s=1, attempts_max=2, **QUIET)  # type: ignore[arg-type]
    job, began = await fail_until_it_ends(Rig(settings=settings), **asked)
    assert began == times and job.reason == "attempts_max"


async def test_the_waiting_timeout_counts_from_the_end_of_the_backoff() -> None:
    settings = Settings(backoff_s=20, waiting_timeout_s=10, **QUIET)  # type: ignore[arg-type]
    rig = Rig(settings=settings)
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.fail(node, job, retryable=True, detail="ValueError: none")
    rig.desk.left(node)
    await rig.pass_time(29)
    assert (job.state, job.backoff_until_ms, len(rig.core.waiting)) == (WAITING, 0, 1)
    await rig.pass_time(1)
    assert (job.state, job.reason, job.detail) == (FAILED, "no_node", "broken_model: ValueError: none")


async def test_a_job_in_backoff_is_in_no_queue_and_delays_no_other_job() -> None:
    rig = Rig(settings=Settings(backoff_s=20))
    node, link = await rig.node("n1")
    job = await rig.submit()
    await rig.fail(node, job, retryable=True)
    assert (job.state, len(rig.core.waiting), rig.store.census()["reservations"]) == (WAITING, 0, 0)
    other = await rig.submit()
    assert other.state == DISPATCHED and len(link.assigns) == 2


async def test_a_job_in_backoff_may_time_out_or_be_cancelled() -> None:
    rig = Rig(settings=Settings(backoff_s=20))
    node, _ = await rig.node("n1", slots=2)
    expires, cancelled = await rig.submit(timeout_ms=3000), await rig.submit()
    for job in (expires, cancelled):
        await rig.fail(node, job, retryable=True, detail="ValueError: none")
    rig.dispatcher.cancel(cancelled.job_id)
    assert (cancelled.state, cancelled.detail, cancelled.backoff_until_ms) == (CANCELLED, "", 0)
    await rig.pass_time(3)
    assert (expires.state, expires.reason) == (FAILED, "expired")
    assert expires.detail == "broken_model: ValueError: none"
    await rig.pass_time(30)
    assert len(rig.sink.ended) == 2 and len(rig.core.waiting) == 0


async def test_another_node_is_tried_first_after_the_backoff() -> None:
    rig = Rig(settings=Settings(backoff_s=2))
    first, _ = await rig.node("n1", slots=5)
    job = await rig.submit()
    await rig.node("n2", slots=5)
    await rig.fail(first, job, retryable=True)
    await rig.pass_time(2)
    assert (job.state, job.node_id, job.attempt) == (DISPATCHED, "n2", 2)


async def test_a_lost_node_causes_no_backoff() -> None:
    rig = Rig(settings=Settings(backoff_s=20))
    first, _ = await rig.node("n1")
    job = await rig.submit()
    rig.desk.left(first)
    second, _ = await rig.node("n2")
    assert (job.node_id, job.detail) == ("n2", "the connection of the node closed")
    await rig.answer(second, job)
    assert (job.state, job.detail) == (COMPLETED, "")


async def test_a_final_error_is_final_at_once_and_has_the_text_of_the_worker() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.fail(node, job, retryable=False, reason="bad_audio", detail="8 channels")
    assert (job.state, job.reason, job.detail, job.attempt) == (FAILED, "bad_audio", "8 channels", 1)


@pytest.mark.parametrize(
    ("reason", "detail", "expected"),
    [
        ("bad_audio", "\x1b[31mred\u202e\nline", ("bad_audio", "[31mred line")),
        ("bad_audio", "x" * 10_000, ("bad_audio", "x" * 499 + "…")),
        ("what was spoken", "", ("engine_error", "what was spoken")),
        ("w" * 100, "more", ("engine_error", "w" * 100 + ": more")),
        ("", "", ("engine_error", "")),
        ("stopping", "", ("engine_error", "stopping")),
        ("waiting_timeout", "of mine", ("engine_error", "waiting_timeout: of mine")),
        ("output_too_large", "", ("output_too_large", "")),
    ],
)
async def test_an_error_of_a_node_is_bounded_and_differs_from_reasons_of_the_scheduler(
    reason: str, detail: str, expected: tuple[str, str]
) -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.fail(node, job, retryable=False, reason=reason, detail=detail)
    assert (job.reason, job.detail) == expected


async def test_a_node_that_never_answers_rests_like_a_failing_one() -> None:
    rig = Rig(settings=Settings(dispatch_timeout_s=5, rest_after_failures=3, rest_s=30, lease_s=1000, heartbeat_s=300))
    silent, link = await rig.node("n1", link=Link())
    job = await rig.submit(attempts_max=10)
    await rig.pass_time(14)
    assert (silent.state, len(link.assigns)) == ("ready", 3)
    await rig.pass_time(1)
    assert (silent.state, len(link.assigns), job.state) == ("resting", 3, WAITING)
