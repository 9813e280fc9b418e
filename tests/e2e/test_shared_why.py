"""`voxpool why` with jobs in Redis: every scheduler tells the same of a job, whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import PATIENCE_S, TONE, Process, Scheduler, until
from tests.e2e.test_several_schedulers import PAIR, Gated, Start, flooded, starting
from tests.servers import RedisServer
from voxpool.scheduler.sdk import Client

WAITS_S = 60
"""--waiting-timeout-s of the schedulers."""


@pytest.fixture
def start(server: RedisServer, folder: Path) -> Iterator[Start]:
    with starting(server, folder) as start_one:
        yield start_one


def why(scheduler: Scheduler, job_id: str) -> Any:
    """Return what a scheduler tells of a job."""
    return scheduler.get(f"/v1/jobs/{job_id}/why")


def instance_of(scheduler: Scheduler) -> str:
    """Return the name by which the other schedulers know it."""
    name: str = scheduler.events("scheduler_started")[-1]["instance"]
    return name


async def told(folder: Path, scheduler: Scheduler, job_id: str) -> str:
    """Return what `voxpool why` prints."""
    command = Process(folder, f"why-{job_id}", "why", job_id, "--url", scheduler.url)
    try:
        await until(lambda: command.popen.poll() is not None)
        assert command.popen.returncode == 0, command.log.read_text()
        return command.log.read_text()
    finally:
        command.stop()


async def test_all_schedulers_tell_who_runs_a_job_and_what_is_before_it(start: Start, folder: Path) -> None:
    """The clients are at A, the node with its one slot at B."""
    a, b = start("a"), start("b")
    node = Gated(b, "n", slots=1)
    async with running(node.worker), Client(a.url) as client:
        jobs = [await client.start(TONE, PAIR)]
        await until(lambda: node.begun == [jobs[0].job_id])
        jobs += [await client.start(TONE, PAIR) for _ in range(3)]
        for scheduler in (a, b):
            view = why(scheduler, jobs[0].job_id)
            assert (view["job"]["state"], view["job"]["attempts"]) == ("dispatched", 1)
            assert view["shared"] == {"state": "runs", "scheduler": instance_of(b), "ahead": None, "waits_until_ms": 0}
            for ahead, job in enumerate(jobs[1:]):
                view = why(scheduler, job.job_id)
                shared = view["shared"]
                assert (view["job"]["state"], shared["state"], shared["scheduler"]) == ("waiting", "waits", "")
                assert shared["ahead"] == ahead and view["waiting"] is None
                assert shared["waits_until_ms"] - view["job"]["submitted_ms"] >= WAITS_S * 1000
        assert why(a, jobs[0].job_id)["pool"]["nodes"] == 0 and why(b, jobs[0].job_id)["pool"]["full"] == 1
        assert f"runs at the scheduler {instance_of(b)}" in (text := await told(folder, a, jobs[0].job_id))
        assert f"nodes of {PAIR} at this scheduler now: none" in text
        assert f"waits in Redis: 2 jobs of its pair come before it; it fails {WAITS_S}." in (
            await told(folder, b, jobs[3].job_id)
        )
        node.gate.set()
        await asyncio.gather(*(job.result() for job in jobs))
        view = why(a, jobs[0].job_id)
        assert (view["job"]["state"], view["job"]["node_id"], view["shared"]) == ("completed", "n", None)


async def test_with_fair_order_the_band_and_the_keys_ahead_are_told(start: Start) -> None:
    """Both schedulers tell what comes before whom."""
    async with flooded(start, 4) as jobs:
        for scheduler in jobs.schedulers:
            view = why(scheduler, jobs.flood[3].job_id)
            assert view["shared"]["ahead"] == 3
            assert view["waiting"] == {"priority": 3, "higher_waiting": 1, "keys_ahead": 0, "key_waiting": 4}
            view = why(scheduler, jobs.sparse.job_id)
            assert view["shared"]["ahead"] == 0
            assert view["waiting"] == {"priority": 3, "higher_waiting": 1, "keys_ahead": 1, "key_waiting": 1}
            assert why(scheduler, jobs.urgent.job_id)["waiting"]["higher_waiting"] == 0


async def test_while_redis_is_away_nothing_wrong_is_told(start: Start, server: RedisServer, folder: Path) -> None:
    """The answer comes at once, and says that nobody knows."""
    a = start("a")
    async with Client(a.url) as client:
        job = await client.start(TONE, PAIR)
        await until(lambda: why(a, job.job_id)["shared"]["state"] == "waits")
        server.kill()
        await until(lambda: a.events("store_failed"))
        assert why(a, job.job_id)["shared"]["state"] == "unknown"
        assert "Redis does not answer" in await told(folder, a, job.job_id)
        server.start()
        await until(lambda: why(a, job.job_id)["shared"]["state"] == "waits")
        await job.cancel()


async def test_a_request_does_not_wait_for_a_redis_that_is_away(start: Start, server: RedisServer) -> None:
    """Neither for one that is gone nor for one that hangs: the scheduler of another client can't know the job then."""
    a, b = start("a"), start("b")
    async with Client(a.url) as client, httpx.AsyncClient(base_url=b.url, trust_env=False) as http:
        job = await client.start(TONE, PAIR)
        path = f"/v1/jobs/{job.job_id}"
        await until(lambda: b.get(path)["state"] == "waiting")
        for stop, go_on in ((server.freeze, server.thaw), (server.kill, server.start)):
            stop()
            for _ in range(2):
                shown = await http.get(path, timeout=PATIENCE_S)
                assert (shown.status_code, shown.json()["reason"]) == (503, "store_unavailable")
                assert shown.headers["retry-after"]
            go_on()
            await until(lambda: http_is_ok(b, path))
        await job.cancel()


def http_is_ok(scheduler: Scheduler, path: str) -> bool:
    """Whether a GET of `path` succeeds."""
    return httpx.get(f"{scheduler.url}{path}", trust_env=False, timeout=PATIENCE_S).status_code == 200
