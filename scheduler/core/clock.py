"""The wall clock as a seam: integer milliseconds that never run backwards."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Return the milliseconds since 1970; never less than an earlier answer."""
        ...


class SystemClock:
    """The wall clock at the start plus the monotonic clock, so that a step of the system's clock changes nothing."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return self.now_ns() // 1_000_000

    def now_ns(self) -> int:
        """Return the nanoseconds since 1970."""
        return self._offset_ns + time.monotonic_ns()

    def seconds(self) -> float:
        """Return seconds since some moment, finer than a microsecond, for measuring; uvloop's time is in whole ms."""
        return time.perf_counter()
