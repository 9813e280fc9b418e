"""The wall clock of virtual time."""

from __future__ import annotations

import simpy

START_MS = 1_767_225_600_000
"""Where the wall clock of every run begins: 1 January 2026, in ms since 1970."""
_ROUNDING_MS = 1e-4
"""Added before the fraction is cut off, so that a timer that is due at a whole ms finds that ms begun."""


class VirtualClock:
    """Milliseconds of wall clock by the virtual seconds of `env`; `offset_ms` ahead of those of other clocks."""

    def __init__(self, env: simpy.Environment, offset_ms: int = 0) -> None:
        self._env = env
        self._start_ms = START_MS + offset_ms

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return self._start_ms + int(self._env._now * 1000 + _ROUNDING_MS)
