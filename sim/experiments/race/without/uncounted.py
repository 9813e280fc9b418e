"""R3: attempts are not counted, so a job that kills each of its nodes never ends."""

from __future__ import annotations

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node


class CountsNothing(Dispatcher):
    """Every redispatch counts as the first."""

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        job.redispatches = 0
        super().redispatch(job, node, reason, counted, detail)
