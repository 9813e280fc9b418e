from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.job import Job
from scheduler.messages import NodeResult
from scheduler.node import Node
from sim.checkers.base import Checker

if TYPE_CHECKING:
    from sim.world import World


class AnOldResultChangesNothing(Checker):
    """A result of an attempt that was given up, or of another node, leaves the job as it is; a present one counts."""

    sentence = "a result of an old attempt changes nothing"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._present: dict[str, tuple[int, str]] = {}
        """Job -> attempt and node that it was last dispatched with and that weren't given up."""
        self._before: object = None

    def job_dispatched(self, job: Job, node: Node) -> None:
        self._present[job.job_id] = (job.attempt, node.node_id)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self._present.pop(job.job_id, None)

    def job_ended(self, job: Job) -> None:
        self._present.pop(job.job_id, None)

    def result_arrives(self, node: Node, result: NodeResult) -> None:
        present = self._present.get(result.job_id)
        if present is None or present[0] != result.attempt or present[1] != node.node_id:
            self._before = (result, self._state(result))

    def result_handled(self, node: Node, result: NodeResult) -> None:
        if self._before is not None:
            before, self._before = self._before, None
            after = self._state(result)
            self.expect(before == (result, after), f"{node.node_id}'s {result!r} changed a job: {before} to {after}")
        elif result.job_id in self._present:
            self.broke(f"{node.node_id}'s {result!r} is of the present attempt and changed nothing")

    def _state(self, result: NodeResult) -> tuple[object, ...]:
        job = self.world.core.dispatcher.find(result.job_id)
        if job is None:
            return ()
        return (job.state, job.attempt, job.node_id, job.output, job.reason, job.redispatches, job.deadline_ms)
