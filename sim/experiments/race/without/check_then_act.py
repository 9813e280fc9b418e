"""R12: a submit looks whether its request id is known, and writes the job a round trip later.

Two submits whose looks both come before the first write make two jobs.
"""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import SHARDS

ROUND_TRIP_MS = 5
"""Between the look and the write."""


class ChecksThenActs(Dispatcher):
    """A job that is younger than a round trip isn't seen by a submit under the same request id."""

    def submit(self, *, request_id: str, **what: Any) -> Job:
        known = self.table.find_request(request_id)
        if known is not None and self._clock.now_ms() - known.submitted_ms < ROUND_TRIP_MS:
            del self.table._by_request[hash(request_id) % SHARDS][request_id]
        return super().submit(request_id=request_id, **what)
