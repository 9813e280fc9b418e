"""A scheduler shared by the tests of this folder; each test has its own language pair, so they do not interfere."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import TONE, Scheduler, until
from tests.servers import BOTH, RedisServer, place_of, redis_server
from tests.unit.log_rules import strange_lines
from voxpool.scheduler.sdk import Client, Work, Worker

FLAGS = (
    *("--audio-bytes-max", "1000000", "--send-stall-s", "1", "--heartbeat-s", "1", "--lease-s", "5"),
    *("--waiting-timeout-s", "60"),
)
"""Longer than a test with many commands takes on a slow machine; most waiting jobs have no node."""
_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Modules that say so run with jobs in Redis, too: JOBS_IN_REDIS_TOO, without the tests in MEMORY_ONLY."""
    is_shared = getattr(metafunc.module, "JOBS_IN_REDIS_TOO", False)
    alone = getattr(metafunc.module, "MEMORY_ONLY", ())
    if is_shared and "scheduler" in metafunc.fixturenames and metafunc.function.__name__ not in alone:
        metafunc.parametrize("scheduler", BOTH, indirect=True, scope="session")


@pytest.fixture(scope="session")
def scheduler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A real scheduler process for all tests that do not disturb it; jobs are in its memory unless a module says."""
    with place_of(getattr(request, "param", "memory"), "embedded") as place:
        running = Scheduler(tmp_path_factory.mktemp("scheduler"), *place, *FLAGS, patience_s=60)
        yield running
        assert running.stop() == 0
        assert running.events("scheduler_failed") == []
        assert running.events("http_server") == []
        assert strange_lines(running.events()) == [], "each line is as the catalogue says"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder for the logs of the processes of one test."""
    return tmp_path


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with redis_server() as running_server:
        yield running_server


@pytest.fixture
def pair() -> str:
    """A language pair that no other test uses."""
    return f"t{next(_numbers)}:en"


class GoodFlow:
    """A node that works on a job until `finish`; the test must not disturb it."""

    def __init__(self, scheduler: Scheduler, pair: str) -> None:
        self.pair = pair
        self.name = pair.split(":")[0]
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.worker = Worker(scheduler.url, node_id=f"good-{self.name}", pairs=[pair], slots=4, work=self._work)
        self.client = Client(scheduler.url)

    async def _work(self, work: Work) -> int:
        self.started.set()
        await self.gate.wait()
        return len(work.audio)


@pytest.fixture
async def good_flow(scheduler: Scheduler, pair: str) -> AsyncIterator[GoodFlow]:
    """A job in flight during the test: it completes at its first attempt, on its node, which stays connected."""
    flow = GoodFlow(scheduler, pair)
    async with running(flow.worker) as working, flow.client:
        job = asyncio.create_task(flow.client.submit(TONE, pair))
        await until(lambda: flow.started.is_set() or working.done() or job.done())
        assert not working.done() and not job.done(), (working, job)
        before = _node(scheduler, flow.worker.node_id)
        yield flow
        assert _node(scheduler, flow.worker.node_id)["generation"] == before["generation"]
        flow.gate.set()
        result = await job
        assert (result.state, result.attempts, result.output) == ("completed", 1, len(TONE))
        assert flow.client.connects == 1


@contextlib.asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker in this process; it stops in good order at the end."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await task


def _node(scheduler: Scheduler, node_id: str) -> dict[str, object]:
    nodes = [node for node in scheduler.get("/v1/nodes")["nodes"] if node["node_id"] == node_id]
    assert len(nodes) == 1, nodes
    found: dict[str, object] = nodes[0]
    return found
