"""The scheduler's process in a world: it starts, dies, restarts and stalls; clients and nodes are reconnected."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.observing.watch import Hub
from voxpool.sim.observing.why import FollowedJobs
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.clients import Clients
from voxpool.sim.world.door import Door
from voxpool.sim.world.stores import StoreSeam
from voxpool.sim.world.variant import Variant

FIRST = "s1"
"""The name of the first scheduler of a run; the next is s2."""


class SchedulerLife:
    """The part of a world with the scheduler. `core` is the running one; while none runs it is an empty one."""

    seed: int
    settings: Settings
    variant: Variant
    loop: VirtualLoop
    hub: Hub
    clients: Clients
    door: Door
    store_seam: StoreSeam
    why: FollowedJobs
    core: Core
    clock: VirtualClock
    """The wall clock of the running scheduler."""
    starts = 0
    """Number of schedulers started."""
    instance = ""
    """The name of the running scheduler, the prefix of its job ids and generations."""

    def new_core(self, instance: str) -> Core:
        """Build a scheduler; each has a different name and random generator."""
        return Core.build(
            settings=self.settings,
            clock=self.clock,
            runner=self.store_seam,
            sink=self.clients,
            observer=self.hub,
            random=plain_random(self.seed, "scheduler" if instance == FIRST else f"scheduler/{instance}"),
            instance=instance,
            classes=self.variant.classes,
            why=self.why,
        )

    def start_core(self, core: Core, instance: str) -> None:
        """Make `core` the running scheduler."""
        self.starts += 1
        self.core, self.instance = core, instance
        self.door.listen(core.node_events)
        self.hub.scheduler_built()
        with nullcontext() if self.loop.is_running() else self.loop.entered():
            core.start().add_done_callback(_raise_failure)
        self.clients.connect(core.dispatcher)

    def crash_scheduler(self) -> None:
        """Kill the scheduler's process with all jobs in its memory; `core` is empty until the next start."""
        self.hub.scheduler_gone()
        self.loop.is_stalled = False
        self.core.cancel()
        self.door.scheduler_dies()
        self.clients.disconnect()
        self.core, self.instance = self.new_core("nobody"), "nobody"
        self.hub.scheduler_built()

    def start_scheduler(self, clock_offset_ms: int = 0) -> None:
        """Start a new scheduler; its wall clock is `clock_offset_ms` ahead of the world's time."""
        self.clock = VirtualClock(self.loop.env, clock_offset_ms)
        instance = f"s{self.starts + 1}"
        self.start_core(self.new_core(instance), instance)

    def stall_scheduler(self) -> None:
        """Pause the scheduler's process."""
        self.loop.is_stalled = True
        self.door.stall()
        self.clients.stall()

    def resume_scheduler(self) -> None:
        """Resume the process: it reads queued messages, and due timers fire."""
        self.loop.is_stalled = False
        self.door.resume()
        self.clients.resume()


def _raise_failure(failed: asyncio.Future[None]) -> None:
    if not failed.cancelled() and (error := failed.exception()) is not None:
        raise error
