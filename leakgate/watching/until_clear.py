"""Ends a run as soon as its verdict on memory is clear, and has a leak named that no count names before a run ends."""

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
"""Between two looks at the verdict, which takes tens of ms of processor time."""
LOOK_ENDLESS_S = 10.0
"""The same in a run that nothing ends by itself."""
CLEAR_LOOKS = 3
"""Looks in a row, each with a new reading, that must have found the same clear verdict."""
LOOKING_S = 20.0
"""Time for these looks before the last moment at which a run of fixed time can begin to name a leak. It is not begun
earlier, as nothing is judged from then on."""
STOP_TIMEOUT_S = 20.0


class Memory(Protocol):
    """The memory watch, beside its report."""

    def settle(self, report: WatchReport) -> None:
        """Let the verdict of `report` stand, whatever is read after it."""

    def name_lines(self) -> None:
        """Begin to name the lines that leak."""

    @property
    def is_naming(self) -> bool:
        """True until that is done."""

    @property
    def naming_s(self) -> float:
        """How long that takes, in seconds."""


class UntilClear:
    """Looks at the verdict of a run now and then. `report` returns what `memory` knows by now, `end` ends the run.

    `least_s` returns how long the run lasts at least, 0 = until its time is over; `lasts_s` that time, infinite = it
    has none. `may_name` returns whether a leak may be named in a run that lasts until its time is over: the process
    is slower meanwhile. `seconds` is a monotonic clock.
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
        """Begin to look, from nothing; returns at once."""
        self.stop()
        self._began_s = self._seconds()
        self._verdict, self._in_a_row, self._read = "", 0, 0
        if self._least_s() or self._may_name():
            act = self._until_clear if self._least_s() else self._until_late
            self._stopped = threading.Event()
            self._thread = threading.Thread(target=act, args=(self._stopped,), name="until clear", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_S)
        self._thread = None

    def look(self) -> bool:
        """Look once; return whether the run may end."""
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
        """End the run once the verdict is clear and what leaks is named, if there is time for that."""
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
        """Have a leak named at the last moment at which there is time for it; at once in a run without an end."""
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
