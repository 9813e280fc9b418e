"""The answers of a worker for exceptions of its work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from voxpool.scheduler.protocol.messages import NodeResult, WorkError
from voxpool.scheduler.sdk import Work, WorkFailed
from voxpool.scheduler.sdk.work.calls import Calls
from voxpool.scheduler.sdk.work.outcome import outcome_of
from voxpool.scheduler.sdk.worker_node import OUTPUT_BYTES_MAX

ATTEMPT = ("j1", 1)


async def outcome(work: Callable[[Work], Any]) -> tuple[NodeResult, list[str]]:
    """Return the answer of a worker for one attempt, and its events."""
    events: list[str] = []
    calls = Calls(work, 1, "n")
    try:
        async with asyncio.timeout(10):
            return await outcome_of(Work(*ATTEMPT, "zh:en", b""), calls, OUTPUT_BYTES_MAX, events.append), events
    finally:
        await calls.close()


def raising(error: BaseException) -> Callable[[Work], Any]:
    """Return work that raises `error`."""

    def work(work: Work) -> Any:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no such speaker"), WorkError("engine_error", True, "ValueError: no such speaker")),
        (MemoryError(), WorkError("engine_error", True, "MemoryError")),
        (StopIteration(), WorkError("engine_error", True, "RuntimeError: the work raised StopIteration")),
        (WorkFailed("too_short"), WorkError("too_short")),
        (WorkFailed("bad_audio", "8\nchannels"), WorkError("bad_audio", False, "8 channels")),
        (WorkFailed("no_gpu", retryable=True), WorkError("no_gpu", True)),
        (WorkFailed("half \udce9", 7), WorkError("half", False, "7")),  # type: ignore[arg-type]
    ],
)
async def test_an_error_becomes_reason_and_detail(error: Exception, expected: WorkError) -> None:
    result, events = await outcome(raising(error))
    assert (result.output, result.error) == (None, expected)
    assert any("Traceback" in event for event in events) == (expected.reason == "engine_error")


async def test_work_with_an_inner_cancellation_is_answered() -> None:
    async def work(work: Work) -> None:
        waits = asyncio.ensure_future(asyncio.Event().wait())
        waits.cancel()
        await waits

    result, (event,) = await outcome(work)
    assert result == NodeResult(*ATTEMPT, error=WorkError("engine_error", True, "CancelledError"))
    assert event.startswith("j1: the work raised CancelledError\nTraceback")


async def test_a_too_large_output_is_a_final_error_with_a_reason() -> None:
    result, _ = await outcome(lambda work: {(1, 2): "tuple as a key"})
    assert result.error is not None and result.error.reason == "bad_output" and not result.error.retryable
    assert "must fit into JSON" in result.error.detail
