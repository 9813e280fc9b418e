"""Why a job of a run went where it went: production's own record of it, for jobs that are named before the run."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.why import Decision, Why, text_of
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.virtual_time.clock import START_MS


class FollowedJobs(Why, Watcher):
    """Follows the jobs `job_ids`, and keeps what was decided when they have left the table."""

    def __init__(self, clock: Clock, job_ids: Sequence[str]) -> None:
        super().__init__(clock, jobs_max=len(job_ids), every=0)
        for job_id in job_ids:
            self.follow(job_id)

    def job_removed(self, job: Job) -> None:
        """Keep it: the question is asked when the run is over."""

    def tell(self, job_id: str) -> list[str]:
        """Return what was decided about the job, a line each; times are those of the run. Says so when it never was."""
        followed = self.of(job_id)
        if followed is None or not followed.decisions:
            return [f"{job_id}: there was no such job in this run"]
        dropped = [f"{followed.dropped} older decisions were dropped"] if followed.dropped else []
        return [f"{job_id}:", *dropped, *(_line(decision) for decision in followed.decisions)]


def _line(decision: Decision) -> str:
    """Return a decision with its virtual second, by the scheduler's wall clock."""
    return f"{(decision.at_ms - START_MS) / 1000:>10.3f} s  {text_of(decision)}"
