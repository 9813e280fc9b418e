"""The behaviours about nodes that the fixes replaced: R6, R15 and, for R23, releases that come twice."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import FAILED, WAITING, Job
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs
from voxpool.scheduler.core.leases import Leases
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.script_queue import ScriptQueue
from voxpool.scheduler.core.scripts import Reply
from voxpool.scheduler.protocol.messages import Heartbeat

REPEAT_S = 0.1


class HearsNoUnknown(NodeRegistry):
    """R6: the answer UNKNOWN to a heartbeat has no effect."""

    def register_all(self) -> None:
        pass

    def _beat_answered(self, node: Node, generation: str, reply: str) -> None:
        if reply != Reply.UNKNOWN:
            super()._beat_answered(node, generation, reply)


class TellsNobody(NodeEvents):
    """R6: a node whose lease ended is dropped without a message; its later heartbeats are not answered."""

    def heartbeat(self, node: Node, beat: Heartbeat) -> None:
        if node.connected:
            super().heartbeat(node, beat)

    def silent(self, node: Node) -> None:
        self._lose(node, "lapsed")


class SweepsOnly(Leases):
    """R6: nodes with an ended lease are removed, even connected ones."""

    def _lapsed(self, asked_ms: int, answer: list[str]) -> None:
        pass


class FailsAtOnce(Dispatcher):
    """R15: a job without a node fails at once."""

    def _not_allocated(self, batch: SelectBatch, job: Job, reply: str) -> None:
        super()._not_allocated(batch, job, reply)
        if reply != Reply.AGAIN and job.state == WAITING:
            self.end(job, FAILED, reason="no_node")


class IsNotTriedAgain(WaitingJobs):
    """R15: it waits, and free slots do not trigger a new selection of waiting jobs."""

    def room(self, pairs: Collection[str], slots: int) -> None:
        pass


class RepeatsReleases(ScriptQueue):
    """Each release is sent a second time after REPEAT_S, as after a lost answer.

    This is harmless while an attempt number is never reused (R23): both sides of that scenario use it.
    """

    def release(self, reservation: str) -> None:
        super().release(reservation)
        asyncio.get_running_loop().call_later(REPEAT_S, super().release, reservation)
