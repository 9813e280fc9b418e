"""M3, two variants: audio kept until the sweep, and audio released when the job is sent to its node."""

from __future__ import annotations

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import FAILED, Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.nodes.node import Node


class KeptUntilSweep(JobTable):
    """A finished job keeps its audio for as long as it is in the table."""

    def finish(self, job: Job) -> list[Job]:
        audio, job.audio = job.audio, None  # super() then has nothing to free
        gone = super().finish(job)
        job.audio = audio
        for evicted in gone:
            self.free_audio(evicted)
        return gone

    def remove_ended_before(self, before_ms: int) -> Job | None:
        job = super().remove_ended_before(before_ms)
        if job is not None:
            self.free_audio(job)
        return job


class FreedAtDispatch(Dispatcher):
    """The audio is released after it was sent; when the node is lost, it can't be sent to another one."""

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        if job.audio is None:
            job.node_id = ""
            self._release(job, node)
            self.end(job, FAILED, reason="no_audio")
            return
        super()._dispatch(job, node, now_ms)
        self.table.free_audio(job)
