from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World


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
