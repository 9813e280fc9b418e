"""A rolling upgrade: schedulers of two versions on one Redis, replaced one at a time while clients submit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from tests.e2e.test_processes import started
from tests.e2e.versions import MORE_FIELDS, NAMED, OTHER_DATA, OTHER_NAMES, version_of
from tests.servers import RedisServer
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client, Work, Worker
from voxpool.scheduler.stores.cluster.job_stores import DATA_VERSION

PAIRS = ["a:en", "b:en"]
LANES = 6
FLAGS = ("--jobs", "redis", "--partitions", "2", "--waiting-timeout-s", "60", "--drain-s", "20")


class Traffic:
    """Clients that submit as soon as they have a result, and nodes that count what they run."""

    def __init__(self) -> None:
        self.delivered: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self._is_over = False

    async def work(self, work: Work) -> int:
        """Run a job."""
        self.runs[work.job_id] += 1
        await asyncio.sleep(0.01)
        return len(work.audio)

    def unasked(self, result: JobResult) -> None:
        """A result came that nobody waits for."""
        self.delivered[result.request_id] += 1

    async def submit(self, name: str, client: Client) -> None:
        """Submit until it is over; each job has another audio."""
        number = 0
        while not self._is_over:
            number += 1
            audio = TONE + bytes(number)
            result = await client.submit(audio, PAIRS[number % len(PAIRS)], request_id=f"{name}-{number}")
            assert (result.state, result.output, result.attempts) == ("completed", len(audio), 1), result
            self.delivered[result.request_id] += 1

    async def more(self, count: int = 60) -> None:
        """Return after `count` further results."""
        goal = len(self.delivered) + count
        await until(lambda: len(self.delivered) >= goal, 60)

    def end(self) -> None:
        """Submit no more."""
        self._is_over = True


@asynccontextmanager
async def traffic_at(*schedulers: Scheduler) -> AsyncIterator[Traffic]:
    """Each scheduler has clients, and the only node of a pair; in the end each job has run and was delivered once."""
    traffic = Traffic()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as lanes:
        for pair, scheduler in zip(PAIRS, schedulers, strict=True):
            node = Worker(scheduler.url, node_id=pair[0], pairs=[pair], slots=4, work=traffic.work)
            await stack.enter_async_context(running(node))
            client = await stack.enter_async_context(Client(scheduler.url, on_result=traffic.unasked))
            for number in range(LANES):
                lanes.create_task(traffic.submit(f"{pair[0]}-{number}", client))
        yield traffic
        traffic.end()
    assert set(traffic.delivered.values()) == set(traffic.runs.values()) == {1}
    assert len(traffic.delivered) == len(traffic.runs)


async def upgraded(folder: Path, store: str, newer: type[Scheduler], other: type[Scheduler]) -> None:
    """Replace two schedulers under traffic; between them one of the `other` version is refused."""
    with ExitStack() as closing:

        def start(kind: type[Scheduler], name: str, port: int = 0) -> Scheduler:
            return closing.enter_context(started(kind(folder, store, *FLAGS, name=name, port=port, patience_s=60)))

        def replaced(old: Scheduler, name: str) -> Scheduler:
            assert old.stop() == 0 and old.events("scheduler_failed") == []
            return start(newer, name, old.port)

        a, b = start(Scheduler, "a"), start(Scheduler, "b")
        async with traffic_at(a, b) as traffic:
            await traffic.more()
            c = await asyncio.to_thread(replaced, a, "c")
            assert b.get("/openapi.json")["info"]["version"] != c.get("/openapi.json")["info"]["version"] == "0.2.0"
            await traffic.more()
            with pytest.raises(
                AssertionError,
                match=f"data_version = {DATA_VERSION}, and this one has data_version = {DATA_VERSION + 1}",
            ):
                await asyncio.to_thread(start, other, "refused")
            await traffic.more()
            d = await asyncio.to_thread(replaced, b, "d")
            await traffic.more()
        for scheduler in (c, d):
            assert scheduler.events("job_ended"), "it had clients"
            assert scheduler.stop() == 0 and scheduler.events("scheduler_failed") == []


@pytest.mark.timeout(300)
async def test_no_job_is_lost_or_run_twice_while_schedulers_are_replaced(folder: Path, server: RedisServer) -> None:
    """Both versions share the jobs meanwhile; one of another data model is refused and changes nothing."""
    newer = version_of(folder / "newer", NAMED, *MORE_FIELDS)
    await upgraded(folder, server.url, newer, version_of(folder / "other", NAMED, OTHER_DATA))


@pytest.mark.large
@pytest.mark.timeout(300)
async def test_a_version_that_names_jobs_otherwise_is_found(folder: Path, server: RedisServer) -> None:
    """It tests the check itself: a client that comes to the next version asks for its job under another id."""
    newer = version_of(folder / "newer", NAMED, OTHER_NAMES)
    with pytest.raises((AssertionError, ExceptionGroup)):
        await upgraded(folder, server.url, newer, version_of(folder / "other", NAMED, OTHER_DATA))
