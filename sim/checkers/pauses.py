"""Checkers of pauses: a busy node rests, and a job is not sent again at once after a node's error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.config import ms
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, NodeResult
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.world import World

ROUNDING_S = 0.002
"""Tolerance, because the scheduler rounds a pause and its start to whole milliseconds."""


class ABusyNodeRests(Checker):
    """A node that answered busy for its attempt gets no new job until its next heartbeat, or for busy_rest_s."""

    sentence = "a busy node rests"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._rest_s = world.settings.busy_rest_s
        self._resting: dict[str, tuple[Node, float]] = {}
        self._by_job = world.clients.by_job
        self._counts = False

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        if result.busy:
            request = self._by_job.get(result.job_id)
            self._counts = request is not None and (request.attempt, request.node_id) == (result.attempt, node.node_id)

    def result_handled(self, node: Node, result: NodeResult) -> None:
        if result.busy and self._counts and node.connected:
            self._resting[node.node_id] = (node, self.env.now + self._rest_s)

    def beat_arrives(self, node: Node) -> None:
        self._resting.pop(node.node_id, None)

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        if self._resting and connection.node is not None:
            node = connection.node
            resting, until = self._resting.get(node.node_id, (None, 0.0))
            if resting is node and self.env.now < until - ROUNDING_S:
                self.broke(f"{node!r} answered busy and got {assign.job_id} {until - self.env.now:.3f} s too early")


class AFailedJobPauses(Checker):
    """After a node's error a job is sent again only when its back-off has passed.

    The pause is defined by the settings; a lost or busy node causes none.
    """

    sentence = "a failed job pauses"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._first_s = ms(world.settings.backoff_s) / 1000
        self._most_s = ms(world.settings.backoff_max_s) / 1000
        self._given_up: dict[str, int] = {}
        """Unfinished job -> its attempts that failed or were lost."""
        self._pauses: dict[str, float] = {}
        """Unfinished job -> when it may be sent again."""

    def scheduler_gone(self) -> None:
        """Drop the jobs of the dead scheduler."""
        self._given_up.clear()
        self._pauses.clear()

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        if reason == "busy":
            return
        failed = self._given_up[job.job_id] = self._given_up.get(job.job_id, 0) + 1
        if reason == "error":
            self._pauses[job.job_id] = self.env.now + min(self._first_s * 2 ** (failed - 1), self._most_s)

    def job_ended(self, job: Job) -> None:
        self._given_up.pop(job.job_id, None)
        self._pauses.pop(job.job_id, None)

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        if not self._pauses:
            return
        until = self._pauses.pop(assign.job_id, 0.0)
        if self.env.now < until - ROUNDING_S:
            self.broke(f"{assign.job_id} failed and was sent again {until - self.env.now:.3f} s too early")
