from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

ROUNDING_MS = 1.0
"""Times in a job's record are whole milliseconds: this is the largest rounding error of one job."""


class LittlesLaw(Checker):
    """The mean number of jobs is their rate times their mean stay, for unfinished jobs in the system and finished ones
    in the table. The recorder tracks the number; the stay is read from each job's record.
    """

    sentence = "Little's law holds for the table and the system"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._seen = world.recorder
        self._stay_unfinished_ms = self._stay_finished_ms = 0
        self._sum_ended_ms = 0
        """Records of the retained finished jobs."""

    def scheduler_built(self) -> None:
        self._clock = self.world.clock

    def scheduler_gone(self) -> None:
        """End the stay of jobs that are lost with the scheduler."""
        table, now_ms = self.world.core.table, self._clock.now_ms()
        self._stay_unfinished_ms += self._stay_of_those_that_go_on(now_ms)
        self._stay_finished_ms += table.finished * now_ms - self._sum_ended_ms
        self._sum_ended_ms = 0

    def _stay_of_those_that_go_on(self, now_ms: int) -> int:
        find = self.world.core.dispatcher.find
        going_on = [find(request.job_id) for request in self.world.clients.by_job.values()]
        return sum(now_ms - job.submitted_ms for job in going_on if job is not None)

    def job_ended(self, job: Job) -> None:
        self._stay_unfinished_ms += job.ended_ms - job.submitted_ms
        self._sum_ended_ms += job.ended_ms

    def job_removed(self, job: Job) -> None:
        self._stay_finished_ms += self._clock.now_ms() - job.ended_ms
        self._sum_ended_ms -= job.ended_ms

    def recount(self) -> None:
        seen, now = self._seen, self.env._now
        now_ms = self._clock.now_ms()
        stay_ms = self._stay_unfinished_ms + self._stay_of_those_that_go_on(now_ms)
        self._compare("system", 1000 * seen.unfinished.area(now), stay_ms, seen.submitted)
        kept = seen.all_ended - seen.removed - seen.died_finished
        stay_ms = self._stay_finished_ms + kept * now_ms - self._sum_ended_ms
        self._compare("table", 1000 * seen.finished.area(now), stay_ms, seen.all_ended)

    def _compare(self, what: str, area_ms: float, stay_ms: float, jobs: int) -> None:
        margin = ROUNDING_MS * jobs + 1e-9 * stay_ms + 1e-3
        self.expect(
            abs(area_ms - stay_ms) <= margin,
            f"{what}: the numbers add up to {area_ms / 1000:.3f} job seconds, the stays to {stay_ms / 1000:.3f}",
        )

    def at_end(self) -> None:
        self.recount()
