"""R8: a scheduler that was judged dead goes on, and gives back jobs that run elsewhere by now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.protocol.messages import CancelAttempt
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.stores.script_sources import ScriptSource
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.experiments.schedulers.costs import ROUND
from voxpool.sim.experiments.schedulers.without.scripts import cancels_before_it_checks
from voxpool.sim.instances.production.scheduler import Scheduler
from voxpool.sim.instances.production.world import LEASE_S, Instances, Sizes
from voxpool.sim.instances.store import PartitionStore

DISPATCH_S = 2 * LEASE_S
"""The dispatch timeout: it comes after the others have judged the first scheduler dead."""
STALLS_AT_S = 1.0
STALL_S = 2 * LEASE_S + 1.0
WORK_S = 1.5 * LEASE_S
HANGS_S = 1e6
SETTLE_S = 60.0
FIRST, OTHER = 0, 1


class _CountsLate(PartitionStore):
    """Counts what was given back although it ran elsewhere."""

    def __init__(self, partition: int, sources: Mapping[str, ScriptSource] | None) -> None:
        super().__init__(partition, sources)
        self.late = 0

    def run(self, call: ScriptCall) -> list[Any]:
        answer = super().run(call)
        if call.name == "requeue":
            self.late += answer.count(calls.Said.LATE)
        return answer


class _Crossing(Instances):
    """The nodes of the first scheduler hang, those of the other work; each serves all pairs."""

    def __init__(self, stage: Stage, sources: Mapping[str, ScriptSource] | None) -> None:
        self.stores: list[_CountsLate] = []
        self.cancelled = 0
        """Attempts at the other scheduler that count, and were cancelled."""
        jobs, nodes = stage.size.jobs // 2, stage.size.nodes
        slots = math.ceil(2 * jobs / nodes)
        sizes = Sizes(2, partitions=2, in_flight=jobs, nodes=nodes, slots=slots, service_s=WORK_S)

        def store(partition: int) -> PartitionStore:
            self.stores.append(_CountsLate(partition, sources))
            return self.stores[-1]

        super().__init__(sizes, ROUND, stage.seed, store, dispatch_timeout_s=DISPATCH_S)
        pairs = [pair for each in self.pairs for pair in each]
        for node in self.nodes:
            node.pairs = pairs
            node.service_s = HANGS_S if node.home == FIRST else WORK_S

    def dropped(self, scheduler: Scheduler, cancel: CancelAttempt) -> None:
        if scheduler is not self.schedulers[OTHER]:
            return
        (text,) = self.stores[int(cancel.job_id.partition(".")[0])].run(calls.find([cancel.job_id]))
        record = calls.record_of(text)
        is_live = not record.ended and (record.by, record.attempt) == (scheduler.name, cancel.attempt)
        self.cancelled += is_live


def gives_back_too_late(stage: Stage) -> Figures:
    """R8: the first scheduler stands still past its lease and past the timeout of its jobs, which others take over."""
    world = _Crossing(stage, None if stage.has_fix else cancels_before_it_checks())
    try:
        world.run(STALLS_AT_S)
        world.is_ending = True
        world.schedulers[FIRST].processor.stand_still(STALL_S)
        world.settle(SETTLE_S)
        if stage.has_fix:
            stage.broken += world.wrong
        return {
            "cancelled": world.cancelled,
            "never_end": len(world.open),
            "late": sum(store.late for store in world.stores),
        }
    finally:
        world.close()
