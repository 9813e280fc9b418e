"""Partial results through a real scheduler: to clients that asked, and what hostile nodes and slow clients can't do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.e2e import bare_peer
from tests.e2e.bare_peer import BarePeer
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until, wait_until
from voxpool.scheduler.protocol.messages import (
    Accepted,
    Assign,
    Error,
    Hello,
    JobResult,
    NodePartial,
    NodeResult,
    Partial,
    Register,
    Registered,
    Submit,
    Welcome,
)
from voxpool.scheduler.sdk import Client, SyncClient, Work, Worker

JOBS_IN_REDIS_TOO = True
M = TypeVar("M")
FLOOD, FLOOD_BYTES = 160, 500_000
"""80 MB of partial results, more than the 64 MiB that may wait to be sent to a peer."""


async def raw_node(scheduler: Scheduler, pair: str, name: str, slots: int = 4) -> BarePeer:
    """Return a registered node whose messages the test writes."""
    node = await bare_peer.node(scheduler.port)
    node.send_message(Register(name, "p", [pair], slots, []))
    await node.answer(Registered)
    return node


async def raw_client(scheduler: Scheduler, *submits: Submit) -> tuple[BarePeer, list[Any]]:
    """Return a client that has submitted these, and the list of the messages that it gets."""
    got: list[Any] = []
    client = await bare_peer.client(scheduler.port, got.append)
    client.send_message(Hello())
    for submit in submits:
        client.send_message(submit)
    return client, got


def of_kind(got: list[Any], kind: type[M]) -> list[M]:
    """Return the messages of that kind."""
    return [message for message in got if isinstance(message, kind)]


async def until_any(got: list[Any], kind: type[M]) -> M:
    """Wait for a message of that kind."""
    return (await until(lambda: of_kind(got, kind), bare_peer.PATIENCE_S))[0]


async def test_a_client_reads_what_its_worker_knows_before_the_result(scheduler: Scheduler, pair: str) -> None:
    """From a function in a thread, which goes on when the client has seen the partial."""
    seen = threading.Event()

    def work(work: Work) -> list[str]:
        assert work.wants_partials
        work.partial(["good"])
        assert seen.wait(60)
        return ["good", "morning"]

    node = Worker(scheduler.url, node_id=f"partial-{pair[:3].strip(':')}", pairs=[pair], work=work)
    async with running(node), Client(scheduler.url) as client:
        job = await client.start(TONE, pair, partials=True)
        async for partial in job.partials():
            assert (partial.job_id, partial.n, partial.output) == (job.job_id, 0, ["good"])
            seen.set()
        assert seen.is_set() and (await job.result()).output == ["good", "morning"]
        seen.clear()
        plain = Worker(scheduler.url, node_id="plain", pairs=["pl:ain"], work=lambda work: work.wants_partials)
        async with running(plain):
            assert (await client.submit(TONE, "pl:ain")).output is False
        await asyncio.to_thread(without_asyncio, scheduler.url, pair, seen)


def without_asyncio(url: str, pair: str, seen: threading.Event) -> None:
    with SyncClient(url) as client:
        job = client.start(TONE, pair, partials=True)
        outputs = []
        for partial in job.partials():
            outputs.append(partial.output)
            seen.set()
        assert outputs == [["good"]] and job.result().state == "completed"


async def test_a_node_sends_partials_of_its_own_attempts_only(patient: Scheduler) -> None:
    """Unasked, of an unknown job, of another node's job, of an old attempt, and many: dropped, not answered."""
    wanted, plain = Submit("wanted", "a:b", TONE, partials=True), Submit("plain", "a:b", TONE)
    victim, victims = await raw_client(patient, Submit("victim", "x:y", TONE, partials=True))
    other = await raw_node(patient, "x:y", "other")
    theirs: Assign = await other.answer(Assign)
    client, got = await raw_client(patient, wanted, plain)
    hostile = await raw_node(patient, "a:b", "hostile")
    ours = {assign.partials: assign for assign in [await hostile.answer(Assign), await hostile.answer(Assign)]}
    unasked = [ours[False].job_id, theirs.job_id, "unknown", ours[True].job_id]
    for n in range(250):
        for job_id in unasked:
            hostile.send_message(NodePartial(job_id, 2 if job_id == ours[True].job_id else 1, n, "not mine"))
    hostile.send_message(NodePartial(ours[True].job_id, 1, 0, "mine"))
    hostile.send_message(NodePartial(ours[True].job_id, 1, 1, "x" * 1_100_000))
    refused: Error = await hostile.answer(Error)
    assert refused.reason == "output_too_large"
    for assign in ours.values():
        hostile.send_message(NodeResult(assign.job_id, 1, "done"))
        hostile.send_message(NodePartial(assign.job_id, 1, 2, "late"))
    other.send_message(NodeResult(theirs.job_id, 1, "theirs"))
    assert (await until_any(victims, JobResult)).output == "theirs"
    await until(lambda: len(of_kind(got, JobResult)) == 2, bare_peer.PATIENCE_S)
    kinds = (Welcome, Accepted, JobResult)
    assert [(partial.request_id, partial.output) for partial in got if not isinstance(partial, kinds)] == [
        (wanted.request_id, "mine")
    ]
    assert [type(message) for message in victims] == [Welcome, Accepted, JobResult]
    assert not hostile.gone
    for peer in (victim, other, client, hostile):
        peer.end()


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler that waits for a peer that takes nothing."""
    scheduler = Scheduler(tmp_path, "memory", "--send-stall-s", "120", patience_s=60)
    yield scheduler
    assert scheduler.stop() == 0


async def test_a_client_that_reads_nothing_costs_a_bounded_buffer_and_is_not_cut_off(patient: Scheduler) -> None:
    """A flood of partials would fill its buffer, past which it is cut off: they are dropped, the result is not."""
    client, got = await raw_client(patient, Submit("r", "a:b", TONE, partials=True))
    node = await raw_node(patient, "a:b", "n")
    assign: Assign = await node.answer(Assign)
    await until_any(got, Accepted)
    client.transport.pause_reading()
    for n in range(FLOOD):
        node.send_message(NodePartial(assign.job_id, 1, n, "x" * FLOOD_BYTES))
    node.send_message(NodeResult(assign.job_id, 1, "done"))
    await asyncio.to_thread(
        wait_until,
        lambda: patient.get(f"/v1/jobs/{assign.job_id}")["state"] == "completed",
        bare_peer.PATIENCE_S,
    )
    client.transport.resume_reading()
    assert (await until_any(got, JobResult)).output == "done"
    numbers = [partial.n for partial in of_kind(got, Partial)]
    assert numbers and numbers == sorted(numbers) and len(numbers) < FLOOD / 2, numbers
    assert isinstance(got[-1], JobResult) and not client.gone and not node.gone
    client.end()
    node.end()
