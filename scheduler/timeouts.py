"""The role that ends waits that are too long: jobs without a node, and nodes without an answer."""

from __future__ import annotations

import asyncio

from scheduler.clock import Clock
from scheduler.config import Settings
from scheduler.deadlines import Deadlines
from scheduler.dispatcher import Dispatcher
from scheduler.job import Job


class Timeouts:
    """Hands each job whose deadline has come to the dispatcher, in slices."""

    def __init__(self, settings: Settings, clock: Clock, deadlines: Deadlines[Job], dispatcher: Dispatcher) -> None:
        self._slice = settings.timeouts_slice
        self._clock = clock
        self.deadlines = deadlines
        self._dispatcher = dispatcher

    def run_once(self) -> int:
        """Handle at most one slice of the jobs that are due; return how many they were."""
        now_ms = self._clock.now_ms()
        for done in range(self._slice):
            job = self.deadlines.take_due(now_ms)
            if job is None:
                return done
            self._dispatcher.job_due(job)
        return self._slice

    async def run_forever(self) -> None:
        """Handle whatever comes due."""
        while True:
            await self.deadlines.sleep_until_due()
            self.run_once()
            await asyncio.sleep(0)
