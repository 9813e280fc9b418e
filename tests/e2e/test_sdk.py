"""The SDK against a real scheduler: the slots of a worker, the requests of a client."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import answer, text
from voxpool.scheduler.sdk import Client, SchedulerUnreachable, Work, Worker


async def test_a_worker_never_runs_more_than_its_slots(scheduler: Scheduler, pair: str) -> None:
    """Fifty jobs on three slots, in threads; some are cancelled, and their engine runs on for a while."""
    lock = threading.Lock()
    at_work = most = 0

    def work(work: Work) -> str:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        work.cancelled.wait(0.02)
        threading.Event().wait(0.01)  # it no longer checks for cancellation
        with lock:
            at_work -= 1
        return "done"

    worker = Worker(scheduler.url, node_id=f"three-{pair[:3].strip(':')}", pairs=[pair], slots=3, work=work)
    async with running(worker), Client(scheduler.url) as client:
        jobs = [asyncio.create_task(client.submit(TONE, pair)) for _ in range(50)]
        await until(lambda: worker.done > 5)
        for job in jobs[-10:]:
            job.cancel()
        results = await asyncio.gather(*jobs, return_exceptions=True)
    kinds = Counter(type(result).__name__ for result in results)
    assert kinds == {"JobResult": 40, "CancelledError": 10}
    assert most == 3


async def test_a_client_gives_up_when_nobody_answers() -> None:
    async with Client("ws://127.0.0.1:1", give_up_s=0.2) as client:
        with pytest.raises(SchedulerUnreachable):
            await client.submit(TONE, "a:b")


async def test_a_node_that_answers_busy_rests_and_the_job_is_redispatched(scheduler: Scheduler, pair: str) -> None:
    name = pair.split(":")[0]
    async with connected(scheduler.node_url) as busy, Client(scheduler.url) as client:
        register = {"node_id": f"busy-{name}", "process_id": "p", "pairs": [pair], "slots": 5, "running": []}
        await busy.send(text(type="register", **register))
        assert (await answer(busy))["type"] == "registered"
        job = asyncio.create_task(client.submit(TONE, pair))
        assign = await answer(busy)
        async with running(Worker(scheduler.url, node_id=f"free-{name}", pairs=[pair], work=lambda work: "free")):
            await until(lambda: f"free-{name}" in scheduler.node_ids())
            await busy.send(text(type="result", job_id=assign["job_id"], attempt=assign["attempt"], busy=True))
            result = await job
    assert (result.state, result.output, result.attempts) == ("completed", "free", 2)
