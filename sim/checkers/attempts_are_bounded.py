from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.job import Job
from scheduler.node import Node
from sim.checkers.base import Checker

if TYPE_CHECKING:
    from sim.world import World


class AttemptsAreBounded(Checker):
    """No job is dispatched more often than once and redispatch_max times again, busy nodes apart."""

    sentence = "attempts are bounded"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._most = world.settings.redispatch_max + 1
        self._given_up: dict[str, int] = {}

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        if reason != "busy":
            self._given_up[job.job_id] = self._given_up.get(job.job_id, 0) + 1

    def job_dispatched(self, job: Job, node: Node) -> None:
        if self._given_up and self._given_up.get(job.job_id, 0) >= self._most:
            self.broke(f"{job!r} was given up {self._given_up[job.job_id]} times and is dispatched again")

    def job_ended(self, job: Job) -> None:
        if self._given_up:
            self._given_up.pop(job.job_id, None)
