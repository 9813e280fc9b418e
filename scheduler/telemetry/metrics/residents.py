"""Gauges that show whether the clean-up keeps up: its settings, and the resident jobs that Little's law predicts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.telemetry.metrics.bound import resident_bound, resident_mean
from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE

STEPS = 100
"""Looks a window: the window is too long by one of them at most, never too short."""
STEP_MIN_MS = 250


class Residents:
    """Remembers how many jobs had ended at moments of the last retention and interval: the rate that counts.

    A role (run_once, run_forever); `show` sets the gauges. Nothing is noted a job. `now_ms` is the clock of the core.
    """

    def __init__(self, registry: CollectorRegistry, settings: Settings, core: Core, now_ms: Callable[[], int]) -> None:
        self._core = core
        self._now_ms = now_ms
        self._retention_s = settings.retention_s
        self._interval_s = settings.cleanup_interval_s
        self._window_ms = max(1, ms(settings.retention_s + settings.cleanup_interval_s))
        self._step_ms = max(STEP_MIN_MS, self._window_ms // STEPS)
        self._looks: deque[tuple[int, int]] = deque([(now_ms(), 0)])

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace=NAMESPACE, registry=registry)

        self._predicted = gauge(
            "jobs_resident_predicted",
            "Jobs that should be in the table on average, by Little's law and the rate of the last retention.",
        )
        self._bound = gauge(
            "jobs_resident_bound", "Jobs in the table past which the clean-up does not keep up: more are a leak."
        )
        gauge("cleanup_interval_seconds", "The setting cleanup_interval_s; 0 is a clean-up that is off.").set(
            settings.cleanup_interval_s
        )
        gauge("retention_seconds", "The setting retention_s: how long a finished job is kept.").set(
            settings.retention_s
        )

    def run_once(self) -> None:
        """Note how many jobs have ended by now."""
        now_ms = self._now_ms()
        self._looks.append((now_ms, self._ended()))
        while len(self._looks) > 1 and self._looks[1][0] <= now_ms - self._window_ms:
            self._looks.popleft()

    async def run_forever(self) -> None:
        """Look at each step."""
        while True:
            await asyncio.sleep(self._step_ms / 1000)
            self.run_once()

    def show(self) -> None:
        """Set the gauges to the present values. Unfinished jobs count as they are: the bound is about finished ones."""
        mean, bound = self.predict()
        self._predicted.set(mean)
        self._bound.set(bound)

    def predict(self) -> tuple[float, float]:
        """Return the mean number of resident jobs and its bound."""
        rate_per_s = 1000 * (self._ended() - self._looks[0][1]) / self._window_ms
        unfinished = self._core.table.unfinished
        arguments = (rate_per_s, 0.0, self._retention_s, self._interval_s)
        return unfinished + resident_mean(*arguments), unfinished + resident_bound(*arguments)

    def _ended(self) -> int:
        """Every job that ended is still in the table, was swept, or was removed because of finished_max."""
        table = self._core.table
        return table.finished + self._core.retention.removed + table.evicted
