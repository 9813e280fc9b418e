"""M9: one dict of all jobs, read completely each second by the clean-up and again by the timeouts."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, FAILED, WAITING, Job


class FullScan:
    """All jobs in one dict, which is copied when it grows and read completely by a sweep."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Add a job."""
        self.jobs[job.job_id] = job

    def sweep(self, before_ms: int) -> int:
        """Remove the finished jobs that ended before `before_ms`; return their number. Reads every job."""
        over = [
            job_id for job_id, job in self.jobs.items() if job.state in (COMPLETED, FAILED) and job.ended_ms < before_ms
        ]
        for job_id in over:
            del self.jobs[job_id]
        return len(over)

    def timed_out(self, now_ms: int) -> list[Job]:
        """Return the unfinished jobs whose deadline has passed. Reads every job."""
        return [
            job for job in self.jobs.values() if job.state in (WAITING, DISPATCHED) and 0 < job.deadline_ms <= now_ms
        ]
