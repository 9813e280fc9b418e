"""The counter of a server's work: what a middleware counts, and what a server without one may count by itself."""

from __future__ import annotations

import threading


class Work:
    """Counts units of work. Threads may share it."""

    def __init__(self) -> None:
        self.finished = 0
        """Units that ended since the process started, failed ones among them."""
        self.in_flight = 0
        """Units that began and did not end."""
        self.errors = 0
        """Units that failed."""
        self._lock = threading.Lock()

    def begin(self) -> Unit:
        """Count a unit that begins, and return it: its `end` counts its end."""
        with self._lock:
            self.in_flight += 1
        return Unit(self)

    def _end(self, finished: int, errors: int) -> None:
        with self._lock:
            self.in_flight -= 1
            self.finished += finished
            self.errors += errors


class Unit:
    """One unit of work."""

    __slots__ = ("_is_open", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self._is_open = True

    def end(self, failed: bool = False) -> None:
        """Count its end; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            self.work._end(1, int(failed))

    def discount(self) -> None:
        """Take the unit out of all counts: a request for the report is no work."""
        if self._is_open:
            self._is_open = False
            self.work._end(0, 0)
