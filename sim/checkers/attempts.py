"""Checkers of attempts: each is sent once, their number is bounded, and results of old ones have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, NodeResult
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection
    from voxpool.sim.world.world import World


class OneAssignmentAnAttempt(Checker):
    """Each attempt is sent to one node, once, before its job has ended, and with a higher number than earlier ones."""

    sentence = "one assignment an attempt"

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        if request.job_id != assign.job_id:
            self.broke(f"{assign.job_id} attempt {assign.attempt} was sent after the job had ended")
        elif assign.attempt <= request.assigned:
            self.broke(f"{assign.job_id} attempt {assign.attempt} was sent after attempt {request.assigned}")
        request.assigned = assign.attempt


class AttemptsAreBounded(Checker):
    """No job fails or is lost on a node more often than attempts_max; busy nodes do not count."""

    sentence = "attempts are bounded"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._most = world.settings.attempts_max
        self._by_job = world.clients.by_job

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        given_up = self._by_job[job.job_id].given_up
        if given_up > self._most:
            self.broke(f"{job!r} was given up {given_up} times")


class AnOldResultChangesNothing(Checker):
    """A result of an old attempt, or of another node, doesn't change the job; one of the current attempt does."""

    sentence = "a result of an old attempt changes nothing"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._by_job = world.clients.by_job
        self._before: object = None

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        request = self._by_job.get(result.job_id)
        if request is None or request.attempt != result.attempt or request.node_id != node.node_id:
            self._before = (result, self._state(result))

    def result_handled(self, node: Node, result: NodeResult) -> None:
        if self._before is not None:
            before, self._before = self._before, None
            after = self._state(result)
            self.expect(before == (result, after), f"{node.node_id}'s {result!r} changed a job: {before} to {after}")
            return
        request = self._by_job.get(result.job_id)
        if request is not None and request.attempt == result.attempt:
            self.broke(f"{node.node_id}'s {result!r} is of the present attempt and changed nothing")

    def _state(self, result: NodeResult) -> tuple[object, ...]:
        job = self.world.core.dispatcher.find(result.job_id)
        if job is None:
            return ()
        return (job.state, job.attempt, job.node_id, job.output, job.reason, job.redispatches, job.deadline_ms)
