"""R15, two variants: a job without a node fails at once; or it waits and is not retried when a node arrives."""

from __future__ import annotations

from collections.abc import Collection

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import FAILED, WAITING, Job
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs
from voxpool.scheduler.core.scripts import Reply


class FailsAtOnce(Dispatcher):
    """A job without a node fails at once."""

    def _not_allocated(self, batch: SelectBatch, job: Job, reply: str) -> None:
        super()._not_allocated(batch, job, reply)
        if reply != Reply.AGAIN and job.state == WAITING:
            self.end(job, FAILED, reason="no_node")


class IsNotTriedAgain(WaitingJobs):
    """Free slots do not trigger a new selection of waiting jobs."""

    def room(self, pairs: Collection[str], slots: int) -> None:
        pass
