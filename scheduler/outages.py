"""The times in which the store did not answer: what waits for it is judged by the time that it had. Pure."""

from __future__ import annotations

from collections import deque

NOTED_MS = 1000
"""An answer that took as long is an outage, as is one that came after a failure; below it a flush is only slow."""
SETTLE_MS = 1000
"""After an outage: nodes are registered again and what has piled up is given away; that still belongs to it."""
OUTAGES_MAX = 100
"""Outages that are remembered; a job that began to wait before the oldest one loses the time of those before it."""


class Outages:
    """When a flush was on its way without an answer: now, and the last `OUTAGES_MAX` times."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, int]] = deque(maxlen=OUTAGES_MAX)
        self._asked_ms = 0
        self._has_failed = False

    def asked(self, now_ms: int) -> None:
        """Note that a flush is on its way."""
        self._asked_ms = now_ms

    def failed(self) -> None:
        """Note that it got no answer and is repeated."""
        self._has_failed = True

    def answered(self, now_ms: int) -> None:
        """Note that it is answered."""
        if self._is_outage(now_ms):
            self._past.append((self._asked_ms, now_ms + SETTLE_MS))
        self._asked_ms = 0
        self._has_failed = False

    def silent_ms(self, now_ms: int) -> int:
        """Return for how long the flush that is on its way has waited for its answer; 0 = there is none."""
        return now_ms - self._asked_ms if self._asked_ms else 0

    def lasts(self, now_ms: int) -> bool:
        """Whether the store is away now."""
        return self._asked_ms > 0 and self._is_outage(now_ms)

    def between(self, from_ms: int, now_ms: int) -> int:
        """Return how much of the time from `from_ms` to `now_ms` the store was away."""
        away_ms = sum(max(0, min(end, now_ms) - max(start, from_ms)) for start, end in self._past)
        if self.lasts(now_ms):
            away_ms += max(0, now_ms - max(self._asked_ms, from_ms))
        return away_ms

    def _is_outage(self, now_ms: int) -> bool:
        return self._has_failed or now_ms - self._asked_ms >= NOTED_MS
