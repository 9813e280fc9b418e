"""The role that ends waits that are too long: jobs without a node, and nodes without an answer."""

from __future__ import annotations

import asyncio

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.clock import Clock, Deadlines
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import WAITING, Job


class Timeouts:
    """Hands each job whose deadline has come to the dispatcher, in slices.

    A waiting job is not due while the store is away: no node could be found for it.
    """

    def __init__(self, settings: Settings, clock: Clock, deadlines: Deadlines[Job], dispatcher: Dispatcher) -> None:
        self._slice = settings.timeouts_slice
        self._clock = clock
        self.deadlines = deadlines
        self._dispatcher = dispatcher
        self._waiting_ms = ms(settings.waiting_timeout_s)

    def run_once(self) -> int:
        """Handle at most one slice of the jobs that are due; return how many they were."""
        now_ms = self._clock.now_ms()
        for done in range(self._slice):
            job = self.deadlines.take_due(now_ms)
            if job is None:
                return done
            if not self._waits_on(job, now_ms):
                self._dispatcher.job_due(job)
        return self._slice

    def _waits_on(self, job: Job, now_ms: int) -> bool:
        """Return whether `job` has not had its time to wait, as the store was away; set a new deadline then."""
        if job.state != WAITING or job.backoff_until_ms or 0 < job.expires_ms <= now_ms:
            return False
        if self._dispatcher.is_too_late(job, now_ms):
            return False
        ends_ms = self._dispatcher.queue.outages.end_of_wait_ms(job.waits_from_ms, self._waiting_ms, now_ms)
        if ends_ms <= now_ms:
            return False
        self._dispatcher.wait_until(job, ends_ms)
        return True

    async def run_forever(self) -> None:
        """Handle whatever comes due."""
        while True:
            await self.deadlines.sleep_until_due()
            self.run_once()
            await asyncio.sleep(0)
