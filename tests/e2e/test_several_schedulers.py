"""Several schedulers share their jobs on one Redis: real processes, clients and nodes at different ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.sdk import Client, Work, Worker

PAIR = "en:en"
LEASE_S = 2.0
FLAGS = ("--jobs", "redis", "--partitions", "4", "--scheduler-lease-s", str(LEASE_S), "--waiting-timeout-s", "60")

Start = Callable[..., Scheduler]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running_server:
        yield running_server


@pytest.fixture
def start(server: RedisServer, folder: Path) -> Iterator[Start]:
    """Start schedulers by name, on one Redis; those that run at the end must stop in good order."""
    started: list[Scheduler] = []

    def start_one(name: str, *flags: str) -> Scheduler:
        scheduler = Scheduler(folder, server.url, *FLAGS, *flags, name=name)
        started.append(scheduler)
        return scheduler

    yield start_one
    for scheduler in started:
        if scheduler.popen.poll() is None:
            assert scheduler.stop() == 0
            assert scheduler.events("scheduler_failed") == []


async def length(work: Work) -> int:
    return len(work.audio)


async def test_a_job_runs_at_the_node_of_another_scheduler(start: Start) -> None:
    """Its client is at A, its node at B."""
    a, b = start("a"), start("b")
    worker = Worker(b.url, node_id="n", pairs=[PAIR], slots=2, work=length)
    async with running(worker), Client(a.url, give_up_s=5) as client:
        results = await asyncio.gather(*(client.submit(TONE, PAIR) for _ in range(50)))
    assert {(result.state, result.output, result.attempts) for result in results} == {("completed", len(TONE), 1)}
    assert worker.done == 50
    await until(lambda: a.get("/v1/jobs")["total"] == 50)
