"""The role that measures how late the event loop is: the delay of every message and every deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Histogram

from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE

INTERVAL_S = 0.25
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""uvloop wakes a sleeper at whole milliseconds, so the first bucket is an idle loop."""


class LoopLag:
    """Sleeps and measures how late it woke. `seconds` is a fine clock."""

    def __init__(self, registry: CollectorRegistry, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._lag = Histogram(
            "loop_lag_seconds",
            f"How late the event loop woke a sleeper, every {INTERVAL_S} s.",
            namespace=NAMESPACE,
            registry=registry,
            buckets=LAG_BUCKETS_S,
        )

    async def run_once(self) -> None:
        """Sleep once."""
        start_s = self._seconds()
        await asyncio.sleep(INTERVAL_S)
        self._lag.observe(max(0.0, self._seconds() - start_s - INTERVAL_S))

    async def run_forever(self) -> None:
        """Measure until it is cancelled."""
        while True:
            await self.run_once()
