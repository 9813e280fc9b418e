"""R12: a submit checks whether its request id is known, and writes the job a round trip later.

Two submits that both check before the first write make two jobs.
"""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import SHARDS

ROUND_TRIP_MS = 5
"""Time between the check and the write."""


class ChecksThenActs(Dispatcher):
    """A submit does not see a job with the same request id that is younger than a round trip."""

    def submit(self, *, request_id: str, **what: Any) -> Job:
        known = self.table.find_request(request_id)
        if known is not None and self._clock.now_ms() - known.submitted_ms < ROUND_TRIP_MS:
            del self.table._by_request[hash(request_id) % SHARDS][request_id]
        return super().submit(request_id=request_id, **what)
