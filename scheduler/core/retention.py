"""The role that forgets finished jobs: it bounds their memory (docs/brief.md, 1.1)."""

from __future__ import annotations

import asyncio

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.seams import Observer


class Retention:
    """Removes each job `retention_s` after its END, looking every `cleanup_interval_s`, in slices.

    `cleanup_interval_s = 0` turns it off: the table then keeps every job for ever. That is the leak that
    the brief describes; the setting exists so that it can be measured.
    """

    def __init__(self, settings: Settings, clock: Clock, table: JobTable, observer: Observer) -> None:
        self._interval_s = settings.cleanup_interval_s
        self._retention_ms = ms(settings.retention_s)
        self._slice = settings.sweep_slice
        self._clock = clock
        self._table = table
        self._observer = observer
        self.removed = 0

    def run_once(self) -> int:
        """Remove at most one slice of the jobs whose time is over; return how many they were."""
        before_ms = self._clock.now_ms() - self._retention_ms
        for done in range(self._slice):
            job = self._remove_one(before_ms)
            if job is None:
                return done
            self.removed += 1
            self._observer.job_removed(job)
        return self._slice

    async def run_forever(self) -> None:
        """Sweep at each interval; other work gets its turn between two slices."""
        if not self._interval_s:
            return
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._interval_s)
            more = True
            while more:
                start_s = loop.time()
                removed = self.run_once()
                self._observer.swept(removed, 1000 * (loop.time() - start_s))
                more = removed == self._slice
                await asyncio.sleep(0)

    def _remove_one(self, before_ms: int) -> Job | None:
        return self._table.remove_ended_before(before_ms)
