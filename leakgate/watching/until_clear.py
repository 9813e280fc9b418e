"""Ends a run when its verdict on memory is clear, and starts the search for leaking lines before the end."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.judge import UNCLEAR
from voxpool.leakgate.readings.naming import lacks_a_name
from voxpool.leakgate.report.report import WatchReport

CLEAR = "the verdict on memory is clear"
LOOK_S = 2.0
"""Time between two verdicts, each of which takes tens of ms of processor time."""
LOOK_ENDLESS_S = 10.0
"""The same in a run without a planned end."""
CLEAR_LOOKS = 3
"""Number of equal clear verdicts in a row, each with a new reading, that end a run."""
LOOKING_S = 20.0
"""Time for these verdicts before the latest start of a search in a run of fixed duration. It does not start earlier,
because later readings are not judged."""
STOP_TIMEOUT_S = 20.0


class Memory(Protocol):
    """The part of the memory watch that is used in addition to its report."""

    def settle(self, report: WatchReport) -> None:
        """Keep the verdict of `report`, whatever is read after it."""

    def name_lines(self) -> None:
        """Start the search for leaking lines."""

    @property
    def is_naming(self) -> bool:
        """True during the search."""

    @property
    def naming_s(self) -> float:
        """Duration of the search, in seconds."""


class UntilClear:
    """Judges a run periodically. `report` returns the current report of `memory`, `end` ends the run.

    `least_s` returns the minimum duration of the run, 0 = it has a fixed duration; `lasts_s` returns that duration,
    infinite = none. `may_name` returns whether leaking lines may be searched in a run of fixed duration, because that
    slows the process down. `seconds` is a monotonic clock.
    """

    def __init__(
        self,
        report: Callable[[], WatchReport],
        memory: Memory,
        end: Callable[[], object],
        least_s: Callable[[], float],
        lasts_s: Callable[[], float],
        may_name: Callable[[], bool],
        seconds: Callable[[], float],
    ) -> None:
        self._report, self._memory, self._end, self._seconds = report, memory, end, seconds
        self._least_s, self._lasts_s, self._may_name = least_s, lasts_s, may_name
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._began_s = seconds()
        self._verdict = ""
        self._found = WatchReport(finding=MemoryFinding(verdict=UNCLEAR, reason="nothing was read yet"))
        self._in_a_row = self._read = 0

    def start(self) -> None:
        """Start judging, from an empty state; returns at once."""
        self.stop()
        self._began_s = self._seconds()
        self._verdict, self._in_a_row, self._read = "", 0, 0
        if self._least_s() or self._may_name():
            act = self._until_clear if self._least_s() else self._until_late
            self._stopped = threading.Event()
            self._thread = threading.Thread(target=act, args=(self._stopped,), name="until clear", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop judging."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_S)
        self._thread = None

    def look(self) -> bool:
        """Judge once; return whether the run may end."""
        found = self._report()
        read = found.taken
        if read == self._read:
            return False
        self._read = read
        verdict = found.finding.verdict
        self._in_a_row = 0 if verdict == UNCLEAR else self._in_a_row + 1 if verdict == self._verdict else 1
        self._verdict = verdict
        self._found = found
        return self._in_a_row >= CLEAR_LOOKS and self._seconds() - self._began_s >= self._least_s()

    def _until_clear(self, stopped: threading.Event) -> None:
        """End the run when the verdict is clear and leaking lines are found, if there is time for that."""
        while not stopped.wait(LOOK_S):
            if self.look():
                self._memory.settle(self._found)
                if lacks_a_name(self._found.finding) and self._left_s() >= self._memory.naming_s:
                    self._memory.name_lines()
                    while self._memory.is_naming and not stopped.wait(LOOK_S):
                        pass
                if not stopped.is_set():
                    self._end()
                return

    def _until_late(self, stopped: threading.Event) -> None:
        """Start the search for leaking lines at the latest possible time; at once in a run without an end."""
        while not stopped.wait(LOOK_ENDLESS_S if self._left_s() == math.inf else LOOK_S):
            spare_s = self._left_s() - self._memory.naming_s
            if spare_s < 0:
                return
            if (spare_s <= LOOKING_S or spare_s == math.inf) and self.look() and lacks_a_name(self._found.finding):
                self._memory.settle(self._found)
                self._memory.name_lines()
                return

    def _left_s(self) -> float:
        """Return the time until the planned end of the run."""
        return self._began_s + self._lasts_s() - self._seconds()
