"""Ends a run as soon as its verdict on memory is clear: how long that takes depends on what there is to see."""

from __future__ import annotations

import threading
from collections.abc import Callable

from leakgate.judge import UNCLEAR
from leakgate.report import WatchReport

CLEAR = "the verdict on memory is clear"
LOOK_S = 2.0
"""Between two looks at the verdict, which takes tens of ms of processor time."""
CLEAR_LOOKS = 3
"""Looks in a row, each with a new reading, that must have found the same clear verdict."""
STOP_TIMEOUT_S = 20.0


class UntilClear:
    """A Part of a run, on the master only. `report` tells the memory watch's verdict by now; `end` ends the run.

    `least_s` is how long the run lasts at least, 0 = until its time is over. `seconds` is a monotonic clock.
    """

    def __init__(
        self,
        report: Callable[[], WatchReport],
        end: Callable[[], object],
        least_s: Callable[[], float],
        seconds: Callable[[], float],
    ) -> None:
        self._least_s = least_s
        self._report, self._end, self._seconds = report, end, seconds
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._began_s = seconds()
        self._verdict = ""
        self._in_a_row = self._read = 0

    def start(self) -> None:
        """Begin to look, from nothing; returns at once."""
        self.stop()
        self._began_s = self._seconds()
        self._verdict, self._in_a_row, self._read = "", 0, 0
        if self._least_s():
            self._stopped = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="until clear", daemon=True)
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
        return self._in_a_row >= CLEAR_LOOKS and self._seconds() - self._began_s >= self._least_s()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(LOOK_S):
            if self.look():
                self._end()
                return
