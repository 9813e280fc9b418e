"""R3: attempts are not counted, so nothing ends a job that kills whatever node takes it."""

from __future__ import annotations

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node


class CountsNothing(Dispatcher):
    """Each redispatch is the first."""

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        job.redispatches = 0
        super().redispatch(job, node, reason, counted, detail)
