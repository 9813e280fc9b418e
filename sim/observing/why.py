"""Records why jobs named before the run were placed as they were, with production's decision log."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.why import Decision, Why, text_of
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.virtual_time.clock import START_MS


class FollowedJobs(Why, Watcher):
    """Follows the jobs `job_ids`, and keeps their decisions after they have left the table."""

    def __init__(self, clock: Clock, job_ids: Sequence[str]) -> None:
        super().__init__(clock, jobs_max=len(job_ids), every=0)
        for job_id in job_ids:
            self.follow(job_id)

    def job_removed(self, job: Job) -> None:
        """Keep the record, which is read after the run."""

    def tell(self, job_id: str) -> list[str]:
        """Return the decisions about the job, a line each, with times of the run; a line when there was no such job."""
        followed = self.of(job_id)
        if followed is None or not followed.decisions:
            return [f"{job_id}: there was no such job in this run"]
        dropped = [f"{followed.dropped} older decisions were dropped"] if followed.dropped else []
        return [f"{job_id}:", *dropped, *(_line(decision) for decision in followed.decisions)]


def _line(decision: Decision) -> str:
    """Return a decision with its virtual second, by the scheduler's wall clock."""
    return f"{(decision.at_ms - START_MS) / 1000:>10.3f} s  {text_of(decision)}"
