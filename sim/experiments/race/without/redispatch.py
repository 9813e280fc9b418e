"""The behaviours about redispatches that the fixes replaced: R2 to R5."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.protocol.messages import Assign

LOOK_EVERY_MS = 1000
"""Interval of the timeout checks."""


class KeepsTheDispatchTime(Dispatcher):
    """R2: the timeout of every attempt counts from the first dispatch, so the next check finds it timed out again."""

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        first_ms = job.dispatched_ms or now_ms
        super()._dispatch(job, node, now_ms)
        job.dispatched_ms = first_ms
        self._set_deadline(job, max(first_ms + self._dispatch_ms, now_ms + LOOK_EVERY_MS))


class CountsNothing(Dispatcher):
    """R3: every redispatch counts as the first, so a job that kills each of its nodes never ends."""

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        job.redispatches = 0
        super().redispatch(job, node, reason, counted, detail)


class SendsTheOldAttempt(CountsNothing):
    """R4: the message of a redispatch has the previous attempt's number, so the new node's answer is ignored.

    Attempts weren't counted either (R3), so the job is redispatched at each timeout and never ends.
    """

    def _send(self, job: Job, node: Node) -> None:
        assert job.audio is not None, job
        named = max(1, job.attempt - 1)
        node.link.send(Assign(job.job_id, named, job.pair, job.audio, self._dispatch_ms, job.session_id or None))


class _Nodes(dict[str, Node]):
    """The connected nodes; a lookup by id also finds lost ones."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[str, Node] = {}

    def __missing__(self, node_id: str) -> Node:
        return self.gone[node_id]


class RemembersTheGone(NodeRegistry):
    """R5: the jobs of a lost node stay allocated to it (`bugs.DoesNotTakeBack`) until they time out.

    The record of a lost node is kept, so that its jobs can be taken from it then.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._with_gone = self.nodes = _Nodes()

    def leave(self, node: Node, reason: str) -> None:
        super().leave(node, reason)
        self._with_gone.gone[node.node_id] = node
