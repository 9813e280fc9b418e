"""A scheduler on a user's redis-server: jobs flow, also after the server died, hung or lost its data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import redis

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Process, Scheduler, until
from tests.servers import RedisServer
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client, Work, Worker

PAIR = "en:en"
JOBS = 60
FLAGS = ("--heartbeat-s", "0.3", "--lease-s", "2", "--waiting-timeout-s", "20")


@pytest.fixture
def scheduler(server: RedisServer, folder: Path) -> Iterator[Scheduler]:
    scheduler = Scheduler(folder, server.url, *FLAGS)
    yield scheduler
    assert scheduler.stop() == 0


@asynccontextmanager
async def traffic(scheduler: Scheduler) -> AsyncIterator[list[asyncio.Task[JobResult]]]:
    """Two nodes with jobs in flight; at the end all of them must have completed, over the same connections."""

    async def work(work: Work) -> int:
        await asyncio.sleep(0.02)
        return len(work.audio)

    workers = [Worker(scheduler.url, node_id=f"n-{number}", pairs=[PAIR], slots=2, work=work) for number in range(2)]
    async with running(workers[0]), running(workers[1]), Client(scheduler.url) as client:
        await until(lambda: scheduler.node_ids() == ["n-0", "n-1"])
        jobs = [asyncio.create_task(client.submit(TONE, PAIR)) for _ in range(JOBS)]
        await until(lambda: workers[0].done + workers[1].done >= 10)
        yield jobs
        results = await asyncio.gather(*jobs)
        assert {(result.state, result.output) for result in results} == {("completed", len(TONE))}
        assert client.connects == 1


async def test_jobs_flow_and_leave_nothing_in_redis(server: RedisServer, scheduler: Scheduler) -> None:
    """While nodes are connected the store has them; afterwards only the scheduler's own two keys are left."""
    async with traffic(scheduler):
        pass
    await until(lambda: scheduler.node_ids() == [])
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        await until(lambda: sorted(client.scan_iter()) == ["vp:partitions", "vp:{0}:owner"])


async def test_readyz_reports_a_hanging_redis_until_it_recovers(server: RedisServer, scheduler: Scheduler) -> None:
    async with traffic(scheduler), httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        assert (await http.get("/readyz")).status_code == 200
        server.freeze()
        await until(lambda: scheduler.events("store_failed"))
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["reason"]) == (503, "store_unavailable")
        assert (await http.get("/healthz")).status_code == 200
        server.thaw()
    await until(lambda: scheduler.get("/readyz") == {"status": "ready"})


def test_a_second_scheduler_with_jobs_in_memory_refuses_the_same_redis(
    server: RedisServer, scheduler: Scheduler, folder: Path
) -> None:
    """Each would free the other's allocations again and again."""
    second = Process(folder, "second", "serve", "--port", "0", "--store", server.url, "--connections-max", "100")
    assert second.end() == 3
    message = second.log.read_text().splitlines()
    assert len(message) == 1 and f"process {scheduler.pid}" in message[0], message
