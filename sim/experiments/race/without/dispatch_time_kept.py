"""R2: a redispatch keeps the dispatch time of the first attempt, so the next check finds it timed out again."""

from __future__ import annotations

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node

LOOK_EVERY_MS = 1000
"""Interval of the timeout checks."""


class KeepsTheDispatchTime(Dispatcher):
    """The timeout of every attempt counts from the first dispatch."""

    def _dispatch(self, job: Job, node: Node, now_ms: int) -> None:
        first_ms = job.dispatched_ms or now_ms
        super()._dispatch(job, node, now_ms)
        job.dispatched_ms = first_ms
        self._set_deadline(job, max(first_ms + self._dispatch_ms, now_ms + LOOK_EVERY_MS))
