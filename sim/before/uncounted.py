"""R3: attempts are not counted, so nothing ends a job that kills whatever node takes it."""

from __future__ import annotations

from voxpool.scheduler.dispatcher import Dispatcher
from voxpool.scheduler.job import Job
from voxpool.scheduler.node import Node


class CountsNothing(Dispatcher):
    """Each redispatch is the first."""

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        job.redispatches = 0
        super().redispatch(job, node, reason, counted, detail)
