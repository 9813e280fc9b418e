"""Calls to the store of a scheduler that is killed: what is on its way is executed, as on a real Redis."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.wire.world import WireWorld


class Executed(Watcher):
    """Stores the names of the calls that the store has executed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        self.names += [call.name for call in calls]


def test_a_call_on_its_way_is_executed_after_its_scheduler_was_killed() -> None:
    """The scheduler dies before its call has reached the store."""
    world, executed = WireWorld(seed=1, store_delay_ms=100.0), Executed()
    world.hub.add([executed])
    world.start_scheduler()
    world.run_until(lambda: world.store_seam.has_calls_on_the_way)
    world.crash_scheduler()
    assert executed.names == []
    world.run(0.2)
    assert executed.names == ["expire_reservations", "lapsed_nodes"]
    assert not world.store_seam.has_calls_on_the_way
    world.close()
