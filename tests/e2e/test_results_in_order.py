"""A session can get its results in the order of its submits; a gap is skipped after its grace (R17)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import text
from voxpool.scheduler.sdk import Client, Work, Worker

JOBS_IN_REDIS_TOO = True


class Gates:
    """A worker that ends each job when its own gate is opened; jobs are numbered in the order of the submits."""

    def __init__(self, scheduler: Scheduler, pair: str) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.worker = Worker(scheduler.url, node_id=f"gates-{pair.split(':')[0]}", pairs=[pair], slots=8, work=self._do)

    async def _do(self, work: Work) -> str:
        await self.gates.setdefault(work.job_id, asyncio.Event()).wait()
        return work.job_id

    def open(self, job_id: str) -> None:
        """Let the job end."""
        self.gates.setdefault(job_id, asyncio.Event()).set()


@contextlib.asynccontextmanager
async def gates_at(scheduler: Scheduler, pair: str) -> AsyncIterator[Gates]:
    gates = Gates(scheduler, pair)
    async with running(gates.worker):
        await until(lambda: gates.worker.node_id in scheduler.node_ids())
        yield gates


async def message(socket: Any) -> dict[str, Any]:
    """Return the next message."""
    async with asyncio.timeout(30):
        found: dict[str, Any] = json.loads(await socket.recv())
    return found


async def submits(socket: Any, session_id: str, pair: str, count: int, resume: bool = False) -> list[str]:
    """Send hello, submit `count` jobs, and return their ids."""
    await socket.send(text(type="hello", session_id=session_id, in_order=True, resume=resume))
    assert (await message(socket))["type"] == "welcome"
    job_ids = []
    for number in range(count):
        await socket.send(text(type="submit", request_id=f"{session_id}-{number}", pair=pair, audio=TONE))
        job_ids.append((await message(socket))["job_id"])
    return job_ids


async def has_ended(scheduler: Scheduler, job_id: str) -> None:
    """Wait until the scheduler has received the job's result."""
    await until(lambda: any(event["job_id"] == job_id for event in scheduler.events("job_ended")))


async def test_results_wait_for_those_before_them(scheduler: Scheduler, pair: str) -> None:
    async with gates_at(scheduler, pair) as gates, connected(scheduler.session_url) as socket:
        first, second, third = await submits(socket, f"order-{pair.split(':')[0]}", pair, 3)
        for job_id in (third, second):
            gates.open(job_id)
            await has_ended(scheduler, job_id)
        await socket.send(text(type="cancel", job_id="nobody-1"))
        assert (await message(socket))["reason"] == "unknown_job"  # no result came before this answer
        gates.open(first)
        assert [(await message(socket))["job_id"] for _ in range(3)] == [first, second, third]


async def test_no_result_is_stuck_when_jobs_run_one_after_the_other(scheduler: Scheduler, pair: str) -> None:
    """The buffer is empty after each of them; the earlier scheduler lost its position then."""
    async with gates_at(scheduler, pair) as gates, Client(scheduler.url, in_order=True) as client:
        for number in range(5):
            name = f"stick-{pair.split(':')[0]}-{number}"
            submit = asyncio.create_task(client.submit(TONE, pair, request_id=name))
            await until(lambda number=number: len(gates.gates) == number + 1)  # type: ignore[misc]
            gates.open(list(gates.gates)[-1])
            async with asyncio.timeout(30):
                assert (await submit).state == "completed"


async def test_buffered_results_are_not_lost_with_the_connection(scheduler: Scheduler, pair: str) -> None:
    session_id = f"held-{pair.split(':')[0]}"
    async with gates_at(scheduler, pair) as gates:
        async with connected(scheduler.session_url) as socket:
            first, second = await submits(socket, session_id, pair, 2)
            gates.open(second)
            await has_ended(scheduler, second)
            socket.transport.abort()
        await until(lambda: any(event["session_id"] == session_id for event in scheduler.events("session_closed")))
        async with connected(scheduler.session_url) as socket:
            await submits(socket, session_id, pair, 0, resume=True)
            gates.open(first)
            assert [(await message(socket))["job_id"] for _ in range(2)] == [first, second]


async def test_a_gap_is_skipped_after_its_grace(folder: Path, pair: str) -> None:
    own = Scheduler(folder, "memory", "--in-order-grace-s", "0.2")
    try:
        async with gates_at(own, pair) as gates, connected(own.session_url) as socket:
            first, second, third = await submits(socket, "gap", pair, 3)
            gates.open(third)
            gates.open(second)
            assert [(await message(socket))["job_id"] for _ in range(2)] == [second, third]
            gates.open(first)
            assert (await message(socket))["job_id"] == first
    finally:
        assert own.stop() == 0
