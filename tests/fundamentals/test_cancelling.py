"""A job that is no longer needed is cancelled, also on its node."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.processes import TONE, Scheduler, until
from tests.fundamentals.serving import Nodes
from voxpool import Client, HttpClient, Work
from voxpool.sim.world.world import World


class UntilCancelled:
    """Work that ends when it is cancelled, like an engine that checks `work.cancelled` from time to time."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    def __call__(self, work: Work) -> None:
        self.works.append(work)
        assert work.cancelled.wait(60)


async def test_a_started_job_can_be_cancelled(client: Client, nodes: Nodes, pair: str) -> None:
    """Its result has the state; the work on the node sees it in `work.cancelled`."""
    engine = UntilCancelled()
    await nodes.start(pair, engine)
    job = await client.start(TONE, pair)
    await until(lambda: engine.works)
    await job.cancel()
    assert (await job.result()).state == "cancelled"
    await until(engine.works[0].cancelled.is_set)


async def test_cancelling_the_call_cancels_the_job(client: Client, nodes: Nodes, pair: str) -> None:
    """Also by `asyncio.timeout`, or a task group that ends."""
    engine = UntilCancelled()
    await nodes.start(pair, engine)
    call = asyncio.create_task(client.submit(TONE, pair))
    await until(lambda: engine.works)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(engine.works[0].cancelled.is_set)


async def test_closing_a_client_cancels_its_jobs(scheduler: Scheduler, nodes: Nodes, pair: str) -> None:
    engine = UntilCancelled()
    await nodes.start(pair, engine)
    async with Client(scheduler.url) as client:
        await client.start(TONE, pair)
        await until(lambda: engine.works)
    await until(engine.works[0].cancelled.is_set)


async def test_any_client_can_cancel_a_job_by_its_id(client: Client, scheduler: Scheduler, pair: str) -> None:
    """`voxpool cancel` does it. With tokens, only an admin and the job's own client can."""
    job = await client.start(TONE, pair)

    def cancel() -> str:
        with HttpClient(scheduler.url) as http:
            return http.cancel(job.job_id).state

    assert await asyncio.to_thread(cancel) == "cancelled"
    assert (await job.result()).state == "cancelled"


def test_the_slot_of_a_cancelled_job_is_free_at_once(world: World) -> None:
    world.add_nodes(1, pairs=["zh:en"])
    long = world.submit("zh:en", work_s=50)
    next_one = world.submit("zh:en", work_s=1)
    world.run(for_s=1)
    world.cancel(long)
    world.run_until(lambda: next_one.ended, at_most_s=5)
    assert (world.state(long), world.state(next_one)) == ("cancelled", "completed")
