"""The counter of a server's work, for a middleware or a server's own code."""

from __future__ import annotations

import threading


class Work:
    """Counts units of work. Threads may share it."""

    def __init__(self) -> None:
        self.finished = 0
        """Units that ended since the start of the process, failed ones included."""
        self.in_flight = 0
        """Units in progress."""
        self.errors = 0
        """Units that failed."""
        self._lock = threading.Lock()

    def begin(self) -> Unit:
        """Count the begin of a unit, and return it; its `end` counts the end."""
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
        """Count the end; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            self.work._end(1, int(failed))

    def discount(self) -> None:
        """Remove the unit from all counts: a request for the report is not work."""
        if self._is_open:
            self._is_open = False
            self.work._end(0, 0)
