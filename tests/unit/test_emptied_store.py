"""A flushed store finds no node: the scheduler then checks the nodes that the store should have."""

from __future__ import annotations

from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import DISPATCHED, WAITING
from voxpool.scheduler.core.nodes.node_registry import DOUBTED_MAX


def asked_of(rig: Rig) -> list[int]:
    """Return how many nodes each heartbeat call from now on names."""
    asked: list[int] = []
    run = rig.store.run

    async def counting(calls: list) -> list[list[str]]:  # type: ignore[type-arg]
        asked.extend((len(call.args) - 2) // 2 for call in calls if call.name == "heartbeat")
        return await run(calls)

    rig.store.run = counting  # type: ignore[method-assign,assignment]
    return asked


async def test_the_first_job_without_a_node_restores_all_nodes() -> None:
    """No heartbeat is needed, and no time passes."""
    rig = Rig()
    nodes = [await rig.node(f"n{number}") for number in range(3)]
    rig.store.clear()
    job = await rig.submit()
    assert job.state == DISPATCHED and rig.store.census()["nodes"] == len(nodes)


async def test_a_second_job_without_a_node_waits_for_the_next_sweep() -> None:
    rig = Rig()
    await rig.node("n1", slots=2)
    for number in range(2):
        rig.store.clear()
        job = await rig.submit()
        assert job.state == (WAITING if number else DISPATCHED)
    await rig.pass_time(1)
    assert job.state == DISPATCHED


async def test_the_checks_of_nodes_are_limited() -> None:
    """One check every DOUBT_MS, for DOUBTED_MAX nodes at most; none for nodes that are busy, drain or serve other
    pairs.
    """
    rig = Rig(settings=Settings(waiting_timeout_s=10**6))
    for number in range(3 * DOUBTED_MAX):
        await rig.node(f"other-{number}", pairs=["de:en"])
    await rig.node("busy")
    assert (await rig.submit()).state == DISPATCHED
    drains, _ = await rig.node("drains")
    rig.desk.drain(drains, on=True)
    await rig.settle()
    asked = asked_of(rig)
    for _ in range(100):
        rig.clock.ms += 10
        await rig.submit()
    assert asked == []

    rig.store.clear()
    for number in range(100):
        rig.clock.ms += 10
        await rig.submit("de:en", request_id=f"de-{number}")
    assert asked == [DOUBTED_MAX], "one was enough"
