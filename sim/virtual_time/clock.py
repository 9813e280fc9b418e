"""The wall clock of virtual time."""

from __future__ import annotations

import simpy

START_MS = 1_767_225_600_000
"""Start of the wall clock of every run: 1 January 2026, in ms since 1970."""
_ROUNDING_MS = 1e-4
"""Added before truncation, so that a timer due at a whole ms does not read the ms before it."""


class VirtualClock:
    """The wall clock, derived from the virtual seconds of `env`; it is `offset_ms` ahead."""

    def __init__(self, env: simpy.Environment, offset_ms: int = 0) -> None:
        self._env = env
        self._start_ms = START_MS + offset_ms
        self._read_s: float | None = None
        """The time for which `_now_ms` was computed: an instant is asked for several times."""
        self._now_ms = 0

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        now_s = self._env._now
        if now_s is not self._read_s:
            self._read_s = now_s
            self._now_ms = self._start_ms + int(now_s * 1000 + _ROUNDING_MS)
        return self._now_ms
