"""R11: a duplicate filter in the wrong place, and no filter."""

from __future__ import annotations

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.sim.experiments.race.without.plain_beats import BeatsSettleNothing

REMEMBERED_MAX = 100_000


class FiltersBeforeItValidates(BeatsSettleNothing):
    """A result is recorded on arrival: one of an ended attempt hides the valid one."""

    def result(self, node: Node, result: NodeResult) -> None:
        had: dict[str, None] = self.__dict__.setdefault("had", {})
        if result.job_id in had:
            return
        had[result.job_id] = None
        if len(had) > REMEMBERED_MAX:
            del had[next(iter(had))]
        super().result(node, result)


class DeliversWhateverComes(NodeEvents):
    """Without a filter: a second result of an ended job is also sent to its client."""

    def result(self, node: Node, result: NodeResult) -> None:
        job = self._dispatcher.find(result.job_id)
        if job is not None and job.ended:
            self._observer.job_ended(job)
        else:
            super().result(node, result)
