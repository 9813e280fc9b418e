"""The sweep of the store: overdue reservations and expired leases."""

from __future__ import annotations

from tests.unit.rig import Rig
from voxpool.scheduler.core.leases import RESERVATIONS_MAX
from voxpool.scheduler.core.scripts import register_node
from voxpool.scheduler.protocol.messages import Registered


async def test_one_sweep_frees_all_overdue_reservations() -> None:
    rig = Rig()
    due_ms = rig.clock.ms + 1000
    reservations = [(f"gone-{number}|1", due_ms) for number in range(2 * RESERVATIONS_MAX + 50)]
    await rig.store.run(
        [register_node(rig.clock.ms, 10**9, "ghost", "dead-1", "p0", 1000, "", ["zh:en"], "", reservations)]
    )
    rig.clock.ms = due_ms

    rig.core.leases.sweep_store()
    await rig.settle()

    assert rig.store.census()["reservations"] == 0


async def test_reservations_that_are_not_due_yet_stay() -> None:
    rig = Rig()
    due_ms = rig.clock.ms + 1000
    await rig.store.run(
        [register_node(rig.clock.ms, 10**9, "ghost", "dead-1", "p0", 2, "", ["zh:en"], "", [("gone|1", due_ms)])]
    )
    rig.clock.ms = due_ms - 1

    rig.core.leases.sweep_store()
    await rig.settle()

    assert rig.store.census()["reservations"] == 1


async def test_a_connected_node_whose_heartbeats_the_store_missed_is_registered_again() -> None:
    rig = Rig()
    node, link = await rig.node("n1")
    rig.clock.ms += rig.core.node_registry.lease_ms
    node.seen_ms = rig.clock.ms  # this scheduler received it

    rig.core.leases.sweep_store()
    await rig.settle()

    assert len(link.of_kind(Registered)) == 2 and node.registered
    assert rig.store.census()["nodes"] == 1 and (await rig.submit()).node_id == "n1"


async def test_a_node_that_registered_since_it_was_found_dead_stays() -> None:
    """Another scheduler has it: the sweep names the time at which its lease had expired."""
    rig = Rig()

    async def registers_elsewhere() -> None:
        await rig.store.run([register_node(rig.clock.ms, 1000, "ghost", "other-1", "p0", 1, "", ["zh:en"], "", [])])

    await registers_elsewhere()
    rig.clock.ms += 2000
    rig.core.leases.sweep_store()
    await rig.core.queue.run_once(rig.core.dispatcher)
    await registers_elsewhere()
    await rig.settle()
    assert rig.store.census()["nodes"] == 1

    rig.clock.ms += 2000
    rig.core.leases.sweep_store()
    await rig.settle()
    assert "nodes" not in rig.store.dump()
