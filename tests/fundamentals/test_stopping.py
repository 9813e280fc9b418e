"""Nodes and schedulers stop in good order: running jobs may end, the rest goes elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from tests.fundamentals.serving import Nodes
from tests.servers import BOTH, IN_REDIS, place_of
from voxpool import Client, HttpClient, SubmitRejected, Work, Worker

PAIR = "zh:en"


class Gate:
    """Work that ends when the gate is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.began: list[str] = []

    async def work(self, work: Work) -> str:
        self.began.append(work.job_id)
        await self.opened.wait()
        return "done"


async def test_a_stopping_node_finishes_its_job_and_takes_no_more(client: Client, nodes: Nodes, pair: str) -> None:
    """`Worker.stop`, or SIGTERM for a node that is a process."""
    gate = Gate()
    leaving = await nodes.start(pair, gate.work)
    first, second = [await client.start(TONE, pair) for _ in range(2)]
    await until(lambda: gate.began)
    leaving.stop()
    await until(lambda: leaving.node_id not in nodes.ready())
    gate.opened.set()
    assert (await first.result()).attempts == 1
    await nodes.start(pair, lambda work: "from the next node")
    assert (await second.result()).output == "from the next node"
    assert gate.began == [first.job_id]


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """Where the jobs are: in memory, unless a test says otherwise."""
    with place_of(getattr(request, "param", "memory")) as found:
        yield found


@pytest.fixture
def own(place: tuple[str, ...], tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler that the test may stop; its jobs then have a minute to end."""
    scheduler = Scheduler(tmp_path, *place, "--drain-s", "60", name="first", patience_s=60)
    yield scheduler
    if scheduler.popen.poll() is None:
        scheduler.popen.kill()
        scheduler.popen.wait()


async def test_a_stopping_scheduler_rejects_new_jobs_and_waits_for_accepted_ones(own: Scheduler) -> None:
    """SIGTERM gives jobs `drain_s` to end. A `Client` keeps a rejected submit for the next scheduler."""
    gate = Gate()
    node = Worker(own.url, node_id="gpu-1", pairs=[PAIR], work=gate.work, drain_s=5)
    async with running(node), Client(own.url) as client:
        jobs = [await client.start(TONE, PAIR) for _ in range(2)]  # one runs, one waits
        await until(lambda: gate.began)
        own.signal(signal.SIGTERM)
        await until(lambda: own.events("scheduler_stopping"))
        with HttpClient(own.url) as http, pytest.raises(SubmitRejected) as rejected:
            await asyncio.to_thread(http.submit, TONE, PAIR)
        assert (rejected.value.reason, rejected.value.retryable) == ("stopping", True)
        gate.opened.set()
        assert [(await job.result()).state for job in jobs] == ["completed"] * 2
        assert await asyncio.to_thread(own.end) == 0


@pytest.mark.parametrize("place", BOTH, indirect=True)
async def test_jobs_survive_a_crash_of_the_scheduler(own: Scheduler, place: tuple[str, ...], tmp_path: Path) -> None:
    """The next scheduler has them only when they are in Redis. Clients and nodes reconnect; clients submit again."""
    gate = Gate()
    node = Worker(own.url, node_id="gpu-1", pairs=[PAIR], slots=2, work=gate.work, drain_s=5)
    async with running(node), Client(own.url) as client:
        jobs = [await client.start(TONE, PAIR) for _ in range(5)]
        await until(lambda: len(gate.began) == 2)
        ids = {job.job_id for job in jobs}
        own.popen.kill()
        own.popen.wait()
        following = Scheduler(tmp_path, *place, port=own.port, name="second", patience_s=60)
        gate.opened.set()
        results = [await job.result() for job in jobs]
        assert client.connects == 2
    assert ids & {result.job_id for result in results} == (ids if IN_REDIS[0] in place else set())
    assert {(result.state, result.output) for result in results} == {("completed", "done")}
    assert following.stop() == 0
