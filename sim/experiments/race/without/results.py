"""The behaviours about results, submits and connections that the fixes replaced: R7 and R10 to R13."""

from __future__ import annotations

import asyncio
from typing import Any

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import COMPLETED, WAITING, Job
from voxpool.scheduler.core.jobs.job_table import shard_of
from voxpool.scheduler.core.jobs.waiting import SelectBatch
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.messages import Assign, Heartbeat, NodeResult

REMEMBERED_MAX = 100_000
ROUND_TRIP_MS = 5
"""Time between the check and the write of a submit."""
GAP_S = 0.005
"""Time between the mark and the sending of a job: a round trip to the store."""


class GoesByTheName(NodeEvents):
    """R7: the close of any connection of a node takes the node offline, even when it has a newer connection.

    The node keeps its socket and its heartbeats, and receives no message that it was removed (a part of R6).
    """

    def left(self, node: Node) -> None:
        current = self._node_registry.find(node.node_id)
        if current is not None:
            self._lose(current, "closed")

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            super().heartbeat(node, beat)


class BeatsSettleNothing(NodeEvents):
    """A heartbeat only renews the lease: the jobs of the node and of the scheduler are not compared.

    The comparison is a fix that several defects depend on: without it only the timeout finds a lost assign.
    """

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            node.seen_ms = self._clock.now_ms()
            self._node_registry.beat(node)
        else:
            super().heartbeat(node, beat)


class AssignsWhatHasEnded(Dispatcher):
    """R10: a redispatch reads the job, and its allocation is sent later without a check of the job's state.

    A result that arrives between both ends the job, and the ended job is assigned to a node.
    """

    def _selected(self, batch: SelectBatch, answer: list[str]) -> None:
        for job, node_id in zip(batch.jobs, answer[::2], strict=True):
            node = self.node_registry.find(node_id)
            if node is not None and job.ended:
                node.link.send(Assign(job.job_id, job.attempt + 1, job.pair, b"", self._dispatch_ms))
        super()._selected(batch, answer)


class TakesTheResultMeanwhile(NodeEvents):
    """R10: until the script has run, the job counts as dispatched to the previous node, whose result is accepted."""

    def result(self, node: Node, result: NodeResult) -> None:
        job = self._dispatcher.find(result.job_id)
        if job is not None and job.state == WAITING and job.attempt == result.attempt and result.error is None:
            job.state = COMPLETED  # bypasses the table of transitions, which does not allow this
            self._dispatcher._ended(job, WAITING, "", result.output, "")
        else:
            super().result(node, result)


class FiltersBeforeItValidates(BeatsSettleNothing):
    """R11: a result is recorded on arrival: one of an ended attempt hides the valid one."""

    def result(self, node: Node, result: NodeResult) -> None:
        had: dict[str, None] = self.__dict__.setdefault("had", {})
        if result.job_id in had:
            return
        had[result.job_id] = None
        if len(had) > REMEMBERED_MAX:
            del had[next(iter(had))]
        super().result(node, result)


class DeliversWhateverComes(NodeEvents):
    """R11 without a filter: a second result of an ended job is also sent to its client."""

    def result(self, node: Node, result: NodeResult) -> None:
        job = self._dispatcher.find(result.job_id)
        if job is not None and job.ended:
            self._observer.job_ended(job)
        else:
            super().result(node, result)


class ChecksThenActs(Dispatcher):
    """R12: a submit checks whether its request id is known, and writes the job a round trip later.

    So a submit does not see a job with the same request id that is younger than a round trip.
    """

    def submit(self, *, request_id: str, **what: Any) -> Job:
        known = self.table.find_request(request_id)
        if known is not None and self._clock.now_ms() - known.submitted_ms < ROUND_TRIP_MS:
            del self.table._by_request[shard_of(request_id)][request_id]
        return super().submit(request_id=request_id, **what)


class MarksBeforeItSends(Dispatcher):
    """R13: the assign is sent GAP_S after the job was marked as dispatched, unless the process dies before.

    The mark is in the store and survives the process; only the job's timeout finds that it was never sent.
    """

    deaths = 0

    def _send(self, job: Job, node: Node) -> None:
        asyncio.get_running_loop().call_later(GAP_S, self._send_now, job, node, job.attempt, self.deaths)

    def _send_now(self, job: Job, node: Node, attempt: int, deaths: int) -> None:
        if deaths == self.deaths and job.attempt == attempt and job.node_id == node.node_id and not job.ended:
            super()._send(job, node)

    def die(self) -> None:
        """Kill and restart the process with the data of the store: pending assigns are lost."""
        self.deaths += 1
