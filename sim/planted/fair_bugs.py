"""Planted bugs of the order `fair` (bugs.py has all others)."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.fair import FairWaitingJobs
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.waiting import WaitQueue


class IgnoresKeys(FairWaitingJobs):
    """The oldest job is next, whosoever it is."""

    def _new_queue(self, pair: str) -> WaitQueue:
        return WaitQueue(pair)


class IgnoresWeights(FairWaitingJobs):
    """All keys have the same weight."""

    def add(self, job: Job) -> None:
        assert job.share is not None
        job.share = job.share._replace(weight=1.0)
        super().add(job)


class ChargesForWhatIsCancelled(FairWaitingJobs):
    """A key pays for its waiting jobs that end, as if jobs had start tags of their own."""

    def discard(self, job: Job) -> None:
        was_queued = job.queued
        super().discard(job)
        if was_queued:
            self.charge(job)
