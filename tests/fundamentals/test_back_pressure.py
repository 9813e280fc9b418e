"""Past a bound a submit is rejected with a reason and a time to retry; accepted jobs continue."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.e2e.processes import TONE, Scheduler, until
from tests.fundamentals.conftest import WAITING_MAX
from tests.fundamentals.serving import Nodes
from voxpool import Client, SubmitRejected
from voxpool.scheduler.errors import Rejected
from voxpool.sim.world.world import World


async def test_past_a_bound_a_submit_is_rejected_and_accepted_jobs_continue(
    client: Client, nodes: Nodes, pair: str
) -> None:
    """The bound here is `waiting_max`, the waiting jobs of one pair; `voxpool serve --print-config` lists them all."""
    jobs = [await client.start(TONE, pair) for _ in range(WAITING_MAX)]
    with pytest.raises(SubmitRejected) as rejected:
        await client.submit(TONE, pair)
    assert (rejected.value.reason, rejected.value.retryable) == ("waiting_max", True)
    assert rejected.value.retry_after_ms == 1000
    await nodes.start(pair, lambda work: "done", slots=4)
    assert {(await job.result()).state for job in jobs} == {"completed"}


async def test_over_http_a_rejection_has_a_retry_after(client: Client, scheduler: Scheduler, pair: str) -> None:
    """503 when the scheduler has no room, 429 when the client's token is over its rate."""
    for _ in range(WAITING_MAX):
        await client.start(TONE, pair)
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        refused = await http.post("/v1/jobs", params={"pair": pair}, content=TONE)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["reason"] == "waiting_max"


async def test_a_client_can_wait_for_room(scheduler: Scheduler, client: Client, nodes: Nodes, pair: str) -> None:
    """With `retry_s` it submits again after the given time, for at most `retry_s`."""
    for _ in range(WAITING_MAX):
        await client.start(TONE, pair)
    refusals = len(scheduler.events("job_rejected"))
    async with Client(scheduler.url, retry_s=30) as patient:
        call = asyncio.create_task(patient.submit(TONE, pair))
        await until(lambda: len(scheduler.events("job_rejected")) > refusals)
        await nodes.start(pair, lambda work: "done", slots=4)
        assert (await call).state == "completed"


def test_a_job_that_would_wait_too_long_is_rejected_at_once(world: World) -> None:
    """Five jobs a second for a slot that does one: accepted jobs are done in time, the others get a time to retry."""
    world.add_nodes(1, pairs=["zh:en"])
    world.run(for_s=1)
    accepted, refused = [], []
    for _ in range(300):
        try:
            accepted.append(world.submit("zh:en", work_s=1))
        except Rejected as rejected:
            refused.append(rejected)
        world.run(for_s=0.2)
    world.run_until(lambda: all(job.ended for job in accepted))
    assert {world.state(job) for job in accepted} == {"completed"} and len(accepted) >= 60
    assert {rejected.reason for rejected in refused} == {"overloaded"}
    assert all(rejected.retry_after_ms for rejected in refused)
