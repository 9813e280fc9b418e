"""A planted bug that needs three events on one job in their order, which independent faults hardly ever cause."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import CANCELLED, Job
from voxpool.scheduler.core.jobs.reasons import SESSION_GONE
from voxpool.scheduler.core.nodes.node import GONE, Node

LOST, CAME_AGAIN = "lost its node", "was submitted again"


class LeaksASlotAfterAResubmit(Dispatcher):
    """A job whose node went offline, that was then submitted again and then cancelled, keeps its slot in the store."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._marks: dict[str, str] = {}

    def redispatch(self, job: Job, node: Node, reason: str, counted: bool = True, detail: str = "") -> None:
        super().redispatch(job, node, reason, counted, detail)
        if reason in ("closed", "lapsed") and not job.ended:
            self._marks.setdefault(job.job_id, LOST)

    def submit(self, **options: Any) -> Job:
        job = super().submit(**options)
        if job.job_id in self._marks:
            self._marks[job.job_id] = CAME_AGAIN
        return job

    def _ended(self, job: Job, *about: Any) -> None:
        super()._ended(job, *about)
        self._marks.pop(job.job_id, None)

    def _release(self, job: Job, node: Node) -> None:
        is_cancelled = job.state == CANCELLED and job.reason != SESSION_GONE
        if not is_cancelled or self._marks.get(job.job_id) != CAME_AGAIN:
            super()._release(job, node)
        elif node.presence != GONE:
            self.waiting.room(node.pairs, 1)
