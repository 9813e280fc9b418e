"""R15, both ways: a job without a node fails at once; or it waits, and nobody tries it again when a node arrives."""

from __future__ import annotations

from collections.abc import Collection

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import FAILED, WAITING, Job
from voxpool.scheduler.core.jobs.waiting import SelectBatch, WaitingJobs
from voxpool.scheduler.core.scripts import Reply


class FailsAtOnce(Dispatcher):
    """Nobody now is nobody."""

    def _not_allocated(self, batch: SelectBatch, job: Job, reply: str) -> None:
        super()._not_allocated(batch, job, reply)
        if reply != Reply.AGAIN and job.state == WAITING:
            self.end(job, FAILED, reason="no_node")


class IsNotTriedAgain(WaitingJobs):
    """Room that comes up is of no interest to the jobs that wait."""

    def room(self, pairs: Collection[str], slots: int) -> None:
        pass
