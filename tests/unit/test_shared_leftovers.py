"""Nothing of a job stays beyond its retention: not in the schedulers that share it, and not in their store."""

from __future__ import annotations

import pytest

from tests.unit.rig import AUDIO
from tests.unit.shared_rig import SharedRig, Stores
from tests.unit.test_shared_dispatcher import answer, settings
from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, FAILED, Job
from voxpool.scheduler.protocol.messages import Assign, WorkError
from voxpool.sim.observing.census import entries

ROUNDS = 3
RETENTION_S = WAITING_S = 3.0
BROKEN = WorkError("broken_model", retryable=True)


@pytest.fixture
def stores() -> Stores:
    return Stores()


async def lives(stores: Stores, a: SharedRig, b: SharedRig, name: str) -> list[Job]:
    """Let jobs of clients at `a` end in all ways; the nodes of `b` fail each once, and leave before it ends."""
    jobs: list[Job] = []

    async def failed_once(number: int) -> Job:
        job = await a.submit(
            request_id=f"{name}-{number}", session_id=f"{name}-{number}", affinity=True, attempts_max=3
        )
        jobs.append(job)
        node, link = await b.node(f"{name}-{number}", slots=1)
        await answer(b, node, link, error=BROKEN)
        b.desk.left(node)
        await b.settle()
        return job

    await failed_once(1)
    node, link = await a.node(f"{name}-well", slots=1)
    await stores.pass_time(1)
    await answer(a, node, link, output="done")
    a.desk.left(node)
    a.dispatcher.cancel((await failed_once(2)).job_id)
    await a.settle()
    await failed_once(3)
    await stores.pass_time(WAITING_S + 2)
    for job in jobs:
        for rig in (a, b):
            rig.dispatcher.session_closed(job.session_key)
    return jobs


async def test_nothing_stays_of_jobs_that_nodes_have_failed(stores: Stores) -> None:
    """They end at another scheduler than that of the node which has failed them, by the client, and by the clock."""
    a, b = (stores.scheduler(name, settings(retention_s=RETENTION_S, waiting_timeout_s=WAITING_S)) for name in "ab")
    left, stored = [], []
    for number in range(ROUNDS):
        jobs = await lives(stores, a, b, str(number))
        assert [job.state for job in jobs] == [COMPLETED, CANCELLED, FAILED]
        await stores.pass_time(RETENTION_S + 1)
        for rig in (a, b):
            rig.core.retention.run_once()
            rig.sink.ended.clear()
        left.append([entries(rig.core) for rig in (a, b)])
        stored.append([entries(partition.store) for partition in stores.partitions])  # type: ignore[arg-type]
    assert left[1:] == left[:1] * (ROUNDS - 1)
    assert stored[1:] == stored[:1] * (ROUNDS - 1)


async def test_a_node_is_avoided_for_as_long_as_the_job_waits_that_it_failed(stores: Stores) -> None:
    """Also when the pause before the next attempt is longer than the retention of what has ended."""
    a = stores.scheduler("a", settings(retention_s=0.1, waiting_timeout_s=60.0, backoff_s=2.0))
    bad, bad_link = await a.node("bad", slots=1)
    for number in range(6):
        job = await a.submit(request_id=str(number))
        await answer(a, bad, bad_link, error=BROKEN)
        good, good_link = await a.node(f"good-{number}", slots=1)
        await stores.pass_time(1)
        a.core.retention.run_once()
        await stores.pass_time(4)
        assert job.node_id == good.node_id
        await answer(a, good, good_link, output="done")
        a.desk.left(good)
        await a.settle()


async def test_a_job_keeps_its_audio_when_two_schedulers_ask_for_it_in_turn(stores: Stores) -> None:
    """B asks, then A once more, before B does what follows from its answer; then both are away, and C runs the job."""
    a, b, c = (stores.scheduler(name, settings()) for name in "abc")
    job = await a.submit(request_id="r", session_id="s")
    at_a, at_b = (rig.shared.feed_of(job.job_id) for rig in (a, b))
    b.dispatcher.submit(pair=job.pair, audio=AUDIO, request_id="r", session_id="s")
    await at_b.run_once(at_b)
    at_a.ask_again()
    await at_a.run_once(at_a)
    await stores.settle()
    _, link = await c.node("n")
    await stores.settle()
    assert [assign.audio for assign in link.of_kind(Assign) if isinstance(assign, Assign)] == [AUDIO]
