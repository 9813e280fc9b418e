"""Submitting audio and getting its result: one job, many jobs, with and without asyncio, and the same job twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler
from tests.fundamentals.serving import Nodes
from voxpool import Client, HttpClient, SubmitRejected, SyncClient, UnknownJob, Work, worker


def length(work: Work) -> dict[str, int]:
    """The work of a node is a function: it gets a Work and returns any value that JSON can encode."""
    return {"bytes": len(work.audio)}


async def test_a_submit_returns_the_result_of_its_job(client: Client, nodes: Nodes, pair: str) -> None:
    """The job goes to a node that serves its pair; what the function returned is the output."""
    node = await nodes.start(pair, length)
    result = await client.submit(TONE, pair)
    assert (result.state, result.output, result.attempts) == ("completed", {"bytes": len(TONE)}, 1)
    assert node.done == 1


async def test_a_job_that_is_started_has_an_id_at_once_and_a_result_later(
    client: Client, nodes: Nodes, pair: str
) -> None:
    job = await client.start(TONE, pair, request_id=f"once-{pair[:-3]}")
    await nodes.start(pair, length)
    result = await job.result()
    assert (result.job_id, result.request_id, result.state) == (job.job_id, f"once-{pair[:-3]}", "completed")


async def test_many_audios_are_submitted_a_few_at_a_time(client: Client, nodes: Nodes, pair: str) -> None:
    """`map` yields each result as it comes, with the index of its audio."""
    await nodes.start(pair, length, slots=4)
    audios = [TONE + bytes(2 * number) for number in range(20)]
    outputs = {done.index: done.result.output async for done in client.map(audios, pair, at_most=4) if done.result}
    assert outputs == {number: {"bytes": len(audio)} for number, audio in enumerate(audios)}


async def test_the_same_request_is_done_once(client: Client, nodes: Nodes, pair: str) -> None:
    """A client that does not know whether its submit arrived sends it again under the same request id."""
    ran: list[str] = []
    await nodes.start(pair, lambda work: ran.append(work.job_id))
    first = await client.submit(TONE, pair, request_id=f"same-{pair[:-3]}")
    again = await client.submit(TONE, pair, request_id=f"same-{pair[:-3]}")
    assert first.job_id == again.job_id and ran == [first.job_id]


async def test_a_request_id_belongs_to_one_audio_and_one_pair(client: Client, pair: str) -> None:
    await client.start(TONE, pair, request_id=f"mine-{pair[:-3]}")
    with pytest.raises(SubmitRejected) as rejected:
        await client.start(TONE, "other:pair", request_id=f"mine-{pair[:-3]}")
    assert (rejected.value.reason, rejected.value.retryable) == ("request_id_conflict", False)


async def test_invalid_audio_is_rejected(client: Client, pair: str) -> None:
    with pytest.raises(SubmitRejected) as rejected:
        await client.submit(b"la la la", pair)
    assert (rejected.value.reason, rejected.value.retryable) == ("not_audio", False)


async def test_clients_without_asyncio_offer_the_same(scheduler: Scheduler, nodes: Nodes, pair: str) -> None:
    """`SyncClient` over a WebSocket, `HttpClient` over plain HTTP."""
    await nodes.start(pair, length)

    def both() -> None:
        with SyncClient(scheduler.url) as client:
            assert client.submit(TONE, pair).output == {"bytes": len(TONE)}
        with HttpClient(scheduler.url) as http:
            job = http.submit(TONE, pair, wait_s=10)
            assert (job.state, job.output) == ("completed", {"bytes": len(TONE)})
            assert http.job(job.job_id).state == "completed"

    await asyncio.to_thread(both)


async def test_a_decorated_function_is_a_node_and_stays_a_function(
    scheduler: Scheduler, client: Client, pair: str
) -> None:
    """`transcribe.main()` is the command line of its node; a test of the work needs no scheduler."""

    @worker(pairs=[pair], slots=2)
    def transcribe(work: Work) -> str:
        return f"{len(work.audio)} bytes"

    assert transcribe(Work("a job", 1, pair, b"abc")) == "3 bytes"
    async with running(transcribe.node(scheduler.url)):
        assert (await client.submit(TONE, pair)).output == f"{len(TONE)} bytes"


async def test_a_job_can_be_looked_up_by_its_id(client: Client, pair: str) -> None:
    """With `why=True` the scheduler keeps its decisions about the job; a finished job is kept for `retention_s`."""
    job = await client.start(TONE, pair, why=True)
    why = await client.why(job.job_id)
    assert (why["job"]["state"], why["followed"]) == ("waiting", True)
    with pytest.raises(UnknownJob):
        await client.why("nobody-1")
