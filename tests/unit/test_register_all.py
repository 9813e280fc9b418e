"""A store without its data gets all nodes again, some hundreds at a time, with other calls in between."""

from __future__ import annotations

import pytest

from tests.unit.rig import Rig
from voxpool.scheduler.core.jobs.job import DISPATCHED
from voxpool.scheduler.core.nodes import node_registry as fleet
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Heartbeat

AT_ONCE = 3


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "REGISTERS_AT_ONCE", AT_ONCE)


async def rig_of(count: int) -> tuple[Rig, list[Node]]:
    rig = Rig()
    return rig, [(await rig.node(f"n{number}"))[0] for number in range(count)]


def known(rig: Rig) -> int:
    """Return how many nodes the store has."""
    return rig.store.census().get("nodes", 0)


async def test_all_nodes_return_a_slice_per_flush() -> None:
    rig, _ = await rig_of(10)
    rig.store.clear()
    rig.core.node_registry.register_all()

    seen = []
    while await rig.core.queue.run_once(rig.core.dispatcher):
        seen.append(known(rig))

    assert seen == [3, 6, 9, 10]


async def test_a_job_does_not_wait_for_the_last_node() -> None:
    rig, _ = await rig_of(10)
    rig.store.clear()
    rig.core.node_registry.register_all()
    job = rig.dispatcher.submit(pair="zh:en", audio=b"RIFF", request_id="r")

    await rig.core.queue.run_once(rig.core.dispatcher)

    assert job.state == DISPATCHED and known(rig) == 3


async def test_the_heartbeat_of_a_pending_node_does_not_start_a_new_round() -> None:
    rig, nodes = await rig_of(10)
    rig.store.clear()
    rig.core.node_registry.register_all()
    await rig.core.queue.run_once(rig.core.dispatcher)
    first = [node.generation for node in nodes[: 2 * AT_ONCE]]  # there are two slices; the second one is queued

    rig.desk.heartbeat(nodes[9], Heartbeat([]))
    await rig.settle()

    assert known(rig) == 10
    assert [node.generation for node in nodes[: 2 * AT_ONCE]] == first


async def test_a_second_loss_in_the_middle_registers_all_nodes_again() -> None:
    rig, nodes = await rig_of(10)
    rig.store.clear()
    rig.core.node_registry.register_all()
    await rig.core.queue.run_once(rig.core.dispatcher)
    await rig.core.queue.run_once(rig.core.dispatcher)
    rig.store.clear()

    rig.desk.heartbeat(nodes[0], Heartbeat([]))  # it was registered again, and is unknown again
    await rig.settle()

    assert known(rig) == 10
    assert rig.store.census()["capacity"] == 10


async def test_nodes_that_leave_or_reconnect_during_a_round_are_not_registered_twice() -> None:
    rig, nodes = await rig_of(8)
    rig.store.clear()
    rig.core.node_registry.register_all()
    rig.desk.left(nodes[7])
    again, _ = await rig.node("n6", process_id="p1")
    await rig.settle()

    assert known(rig) == 7
    about = {member: value.split("|")[0] for member, value in rig.store.dump()["nodes"]}
    assert about["n6"] == again.generation
    assert "n7" not in about


async def test_a_second_round_works_like_the_first() -> None:
    """No state of the first round may stop it."""
    rig, nodes = await rig_of(7)
    for _ in range(3):
        rig.store.clear()
        await rig.beat(nodes[3])
        assert known(rig) == 7
