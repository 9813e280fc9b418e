"""The role that counts the members of the store, beside the scripts and at its own interval, however often it is
scraped.

One small question at each interval, bounded in time. Without an answer the series are removed: an old number
would look like a present one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge

from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE

INTERVAL_S = 15.0
ANSWER_TIMEOUT_S = 5.0


class Countable(Protocol):
    """A store that can count its members; the one in this process does so at once."""

    def census(self) -> dict[str, int] | Awaitable[dict[str, int]]:
        """Return how many members each family has."""
        ...


class StoreCensus:
    """Keeps store_keys up to date. `now_ms` is the wall clock."""

    def __init__(self, registry: CollectorRegistry, store: Countable, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._keys = Gauge(
            "store_keys",
            f"Members of each family of keys in the store (lua/README.md), counted every {INTERVAL_S:.0f} s.",
            ["family"],
            namespace=NAMESPACE,
            registry=registry,
        )
        self._counted = Gauge(
            "store_keys_timestamp_seconds",
            "When store_keys of the family was counted, by the scheduler's clock: the age is time() less this.",
            ["family"],
            namespace=NAMESPACE,
            registry=registry,
        )

    async def run_once(self) -> None:
        """Count once."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = self._store.census()
                census = answer if isinstance(answer, dict) else await answer
        except Exception:  # the script queue meets every fault of the store, too, and reports it; counting ends nothing
            self._keys.clear()
            self._counted.clear()
            return
        for family, members in census.items():
            self._keys.labels(family).set(members)
            self._counted.labels(family).set(self._now_ms() / 1000)

    async def run_forever(self) -> None:
        """Count at each interval."""
        while True:
            await self.run_once()
            await asyncio.sleep(INTERVAL_S)
