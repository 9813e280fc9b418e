"""The times in which the store did not answer: they do not count as waiting time. Pure."""

from __future__ import annotations

from collections import deque

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.jobs.reasons import STORE_UNAVAILABLE, WAITING_TIMEOUT
from voxpool.scheduler.errors import Rejected

NOTED_MS = 1000
"""An answer that took as long is an outage, as is one that came after a failure; below it a flush is only slow."""
SETTLE_MS = 1000
"""The time after an outage that still belongs to it: nodes are registered again, and the backlog is worked off."""
LOOK_MS = 1000
"""While the store is away: time between two looks at a job whose waiting time-out is paused."""
RETRY_MS_MAX = 30_000
"""The longest time to the next try that a submit gets which was refused because the store is away."""
OUTAGES_MAX = 100
"""Outages that are remembered; a job that began to wait before the oldest one loses the time of those before it."""


class Outages:
    """The times in which a flush got no answer: now, and the last `OUTAGES_MAX` times."""

    def __init__(self, settings: Settings) -> None:
        self._refuse_ms = ms(settings.store_refuse_s)
        self._patience_ms = ms(settings.store_patience_s)
        self._retry_ms = ms(settings.retry_after_s)
        self._past: deque[tuple[int, int]] = deque(maxlen=OUTAGES_MAX)
        self._asked_ms = 0
        self._has_failed = False

    def check(self, now_ms: int) -> None:
        """Raise Rejected when the store has been away for longer than store_refuse_s."""
        silent_ms = self.silent_ms(now_ms)
        # Without a failure this process may have been stopped: the answer may lie in its socket.
        if silent_ms >= (self._refuse_ms if self._has_failed else 2 * self._refuse_ms):
            detail = f"the store has not answered for {silent_ms / 1000:.1f} s; jobs that were accepted stay"
            # The rest of the outage is unknown: its length so far is wrong by a factor of two at most.
            raise Rejected(STORE_UNAVAILABLE, detail, min(max(silent_ms, self._retry_ms), RETRY_MS_MAX))

    def end_of_wait_ms(self, from_ms: int, waiting_ms: int, now_ms: int) -> int:
        """Return when a wait from `from_ms` for `waiting_ms` is over: the store's absence stops its clock, for a while.

        While the store is away, that is the time of the next look.
        """
        away_ms = min(self.between(from_ms, now_ms), self._patience_ms)
        ends_ms = from_ms + waiting_ms + away_ms
        if away_ms < self._patience_ms and self.lasts(now_ms):
            return max(ends_ms, now_ms + LOOK_MS)
        return ends_ms

    def why_in_vain(self, now_ms: int) -> str:
        """Return the reason of a job that fails now since it found no node."""
        return STORE_UNAVAILABLE if self.lasts(now_ms) else WAITING_TIMEOUT

    def asked(self, now_ms: int) -> None:
        """Note that a flush is on its way."""
        self._asked_ms = now_ms

    def failed(self) -> None:
        """Note that it got no answer and is repeated."""
        self._has_failed = True

    def answered(self, now_ms: int) -> bool:
        """Note that it is answered, and return whether the store was away until now."""
        was_away = self._is_outage(now_ms)
        if was_away:
            self._past.append((self._asked_ms, now_ms + SETTLE_MS))
        self._asked_ms = 0
        self._has_failed = False
        return was_away

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
