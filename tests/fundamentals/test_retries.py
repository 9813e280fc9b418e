"""Failing work: an exception is retried, `WorkFailed` says whether a retry makes sense, the client gets the reason."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.processes import TONE
from tests.fundamentals.serving import Nodes
from voxpool import Client, Work, WorkFailed


async def test_a_job_whose_work_raises_is_retried(client: Client, nodes: Nodes, pair: str) -> None:
    """`work.attempt` counts from 1. The pause before the next attempt is `backoff_ms`, and doubles each time."""

    def out_of_memory_at_first(work: Work) -> str:
        if work.attempt == 1:
            raise RuntimeError("out of memory")
        return "done"

    await nodes.start(pair, out_of_memory_at_first)
    result = await client.submit(TONE, pair, backoff_ms=1)
    assert (result.state, result.output, result.attempts) == ("completed", "done", 2)


async def test_after_its_last_attempt_the_client_gets_the_error(client: Client, nodes: Nodes, pair: str) -> None:
    """Type and message of the exception; its traceback stays in the log of the node."""

    def broken(work: Work) -> None:
        raise ValueError("no such speaker")

    await nodes.start(pair, broken)
    result = await client.submit(TONE, pair, attempts_max=3, backoff_ms=1)
    assert (result.state, result.error, result.attempts) == ("failed", "attempts_max", 3)
    assert "ValueError: no such speaker" in result.detail


async def test_work_failed_is_final(client: Client, nodes: Nodes, pair: str) -> None:
    """It is for audio with which no node will succeed."""

    def too_noisy(work: Work) -> None:
        raise WorkFailed("too_noisy", "12 dB below what I need")

    await nodes.start(pair, too_noisy)
    result = await client.submit(TONE, pair)
    assert (result.state, result.error, result.detail, result.attempts) == (
        *("failed", "too_noisy", "12 dB below what I need"),
        1,
    )


async def test_a_retryable_failure_goes_to_another_node(client: Client, nodes: Nodes, pair: str) -> None:
    """It is for an error of this node: a model that is not loaded, a full disk."""

    def work_of(node: str) -> Callable[[Work], str]:
        def work(work: Work) -> str:
            asked.append(node)
            if work.attempt == 1:
                raise WorkFailed("model_not_loaded", retryable=True)
            return node

        return work

    asked: list[str] = []
    for node in ("one", "two"):
        await nodes.start(pair, work_of(node))
    result = await client.submit(TONE, pair, backoff_ms=1)
    assert (result.state, result.attempts) == ("completed", 2)
    assert sorted(asked) == ["one", "two"] and result.output == asked[1]
