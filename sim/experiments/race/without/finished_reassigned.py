"""R10: a redispatch reads the job, and a script writes the new node later, whatever the state of the job is then.

A result that arrives between both ends the job, and the ended job is assigned to a node.
"""

from __future__ import annotations

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import COMPLETED, WAITING
from voxpool.scheduler.core.jobs.waiting import SelectBatch
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import Assign, NodeResult


class AssignsWhatHasEnded(Dispatcher):
    """An allocation is sent without a check of the job's state."""

    def _selected(self, batch: SelectBatch, answer: list[str]) -> None:
        for job, node_id in zip(batch.jobs, answer[::2], strict=True):
            node = self.node_registry.find(node_id)
            if node is not None and job.ended:
                node.link.send(Assign(job.job_id, job.attempt + 1, job.pair, b"", self._dispatch_ms))
        super()._selected(batch, answer)


class TakesTheResultMeanwhile(NodeEvents):
    """Until the script has run, the job counts as dispatched to the previous node, whose result is accepted."""

    def result(self, node: Node, result: NodeResult) -> None:
        job = self._dispatcher.find(result.job_id)
        if job is not None and job.state == WAITING and job.attempt == result.attempt and result.error is None:
            job.state = COMPLETED  # bypasses the table of transitions, which does not allow this
            self._dispatcher._ended(job, WAITING, "", result.output, "")
        else:
            super().result(node, result)
