"""Jobs wait for a node that serves their pair and has a free slot, in the order of their submits."""

from __future__ import annotations

import pytest

from tests.e2e.processes import TONE
from tests.fundamentals.serving import Nodes
from voxpool import Client, Work
from voxpool.scheduler.errors import Rejected
from voxpool.sim.world.world import World


async def test_a_job_waits_until_a_node_comes(client: Client, nodes: Nodes, pair: str) -> None:
    """`why` says what a job waits for."""
    job = await client.start(TONE, pair)
    assert (await client.why(job.job_id))["pool"]["nodes"] == 0
    await nodes.start(pair, lambda work: "here")
    assert (await job.result()).output == "here"


async def test_jobs_of_a_pair_start_in_the_order_of_their_submits(client: Client, nodes: Nodes, pair: str) -> None:
    started: list[str] = []

    async def work(work: Work) -> None:
        started.append(work.job_id)

    jobs = [await client.start(TONE, pair) for _ in range(10)]
    await nodes.start(pair, work)
    for job in jobs:
        await job.result()
    assert started == [job.job_id for job in jobs]


def test_a_node_never_gets_more_jobs_than_it_has_slots(world: World) -> None:
    """Ten jobs at once for three slots: three run, seven wait."""
    world.add_nodes(1, pairs=["zh:en"], slots=3)
    jobs = [world.submit("zh:en", work_s=1) for _ in range(10)]
    world.run(for_s=0.5)
    assert [world.state(job) for job in jobs] == ["dispatched"] * 3 + ["waiting"] * 7
    world.run_until(lambda: all(job.ended for job in jobs))
    assert [job.dispatched_ms for job in jobs] == sorted(job.dispatched_ms for job in jobs)


def test_a_job_for_which_no_node_comes_fails_with_the_reason(world: World) -> None:
    """It fails after 10 s. No node ever had it, so it may be submitted again under its request id."""
    job = world.submit("zh:en", work_s=1, request_id="once")
    world.run(for_s=9.99)
    assert world.state(job) == "waiting"
    world.add_nodes(1, pairs=["zh:en"], slots=1)
    world.do(world.nodes[0].crash)
    world.run(for_s=0.02)
    assert (job.state, job.reason, job.retryable) == ("failed", "no_node", True)
    world.do(world.nodes[0].start)
    again = world.submit("zh:en", work_s=1, request_id="once")
    world.run_until(lambda: again.ended)
    assert again is not job and world.state(again) == "completed"


def test_a_pair_that_no_node_has_served_for_10_s_takes_no_jobs(world: World) -> None:
    """A node that restarts is back by then. Later a submit is rejected at once, with a time to retry."""
    world.run(for_s=15)
    with pytest.raises(Rejected) as refused:
        world.submit("zh:en", work_s=1)
    assert (refused.value.reason, refused.value.retry_after_ms) == ("no_node", 15_000)
