"""Nodes crash, hang or lose their connection; each job still has one result."""

from __future__ import annotations

import asyncio

from tests.e2e.processes import TONE, Scheduler, until
from tests.fundamentals.serving import Nodes
from voxpool import Client, Work
from voxpool.loadtest.processes._line import Line
from voxpool.sim.world.world import World


async def test_the_answer_of_an_old_attempt_is_ignored(
    scheduler: Scheduler, client: Client, nodes: Nodes, pair: str
) -> None:
    """A node loses its connection during the work. Its job is redispatched, and the first answer comes too late."""
    began: list[str] = []
    events: list[str] = []
    may_end = {"old": asyncio.Event(), "new": asyncio.Event()}

    async def old(work: Work) -> str:
        began.append("old")
        await may_end["old"].wait()
        return "old"

    async def new(work: Work) -> str:
        began.append("new")
        await may_end["new"].wait()
        return "new"

    async with Line(scheduler.port).open() as line:
        cut_off = await nodes.start(pair, old, url=line.url, on_event=events.append)
        job = await client.start(TONE, pair)
        await until(lambda: began == ["old"])
        await nodes.start(pair, new)
        line.cut()
        await until(lambda: began == ["old", "new"])
        may_end["old"].set()
        await until(lambda: cut_off.done == 1)
        line.mend()  # it reconnects and offers its results
        await until(lambda: sum("registered" in event for event in events) == 2)
        may_end["new"].set()
        result = await job.result()
    assert (result.state, result.output, result.attempts) == ("completed", "new", 2)


def test_a_job_survives_the_death_of_its_node(world: World) -> None:
    """Its node crashes, the job goes to another node at once, and the client gets one result."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=30)
    world.run_until(lambda: world.holder(job) is not None)
    holder = world.holder(job)
    assert holder is not None
    world.do(holder.crash)  # its socket closes
    world.run(for_s=35)
    assert world.state(job) == "completed" and world.attempts(job) == 2
    assert world.broken_checkers() == []


def test_a_silent_node_loses_its_jobs_at_the_end_of_its_lease(world: World) -> None:
    """No socket closes, no message comes: after 45 s without a heartbeat its job goes to another node."""
    world.add_nodes(2, pairs=["zh:en"])
    job = world.submit("zh:en", work_s=50)
    world.run_until(lambda: world.holder(job) is not None)
    silent = world.holder(job)
    assert silent is not None
    world.do(silent.vanish)
    world.run_until(lambda: world.holder(job) not in (None, silent))
    assert 30 <= world.env.now <= 46
    world.run_until(lambda: job.ended)
    assert world.state(job) == "completed"


def test_a_node_works_again_after_a_long_pause(world: World) -> None:
    """A pause of 60 s costs a node its lease; afterwards it registers and gets jobs."""
    node = world.add_nodes(1, pairs=["zh:en"])[0]
    world.run(for_s=1)
    world.do(node.freeze)
    world.run(for_s=60)
    world.do(node.thaw)
    world.run_until(lambda: world.core.intake.has_node("zh:en"))
    job = world.submit("zh:en", work_s=1)
    world.run_until(lambda: job.ended)
    assert world.state(job) == "completed"
