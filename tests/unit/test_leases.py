"""What the sweep of the store frees, however much it is."""

from __future__ import annotations

from scheduler.leases import HOLDS_MAX
from scheduler.scripts import register_node
from tests.unit.rig import Rig


async def test_all_overdue_holds_are_free_after_one_sweep_however_many() -> None:
    rig = Rig()
    due_ms = rig.clock.ms + 1000
    holds = [(f"gone-{number}|1", due_ms) for number in range(2 * HOLDS_MAX + 50)]
    await rig.store.run([register_node(rig.clock.ms, 10**9, "ghost", "dead-1", "p0", 1000, "", ["zh:en"], "", holds)])
    rig.clock.ms = due_ms

    rig.core.leases.sweep_store()
    await rig.settle()

    assert rig.store.census()["holds"] == 0


async def test_holds_that_are_not_due_yet_stay() -> None:
    rig = Rig()
    due_ms = rig.clock.ms + 1000
    await rig.store.run(
        [register_node(rig.clock.ms, 10**9, "ghost", "dead-1", "p0", 2, "", ["zh:en"], "", [("gone|1", due_ms)])]
    )
    rig.clock.ms = due_ms - 1

    rig.core.leases.sweep_store()
    await rig.settle()

    assert rig.store.census()["holds"] == 1
