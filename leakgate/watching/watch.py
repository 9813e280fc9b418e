"""Watches the memory of a process: a thread takes readings at irregular times.

The times are irregular because periodic activity of the process (a clean-up, a buffer that is flushed) would otherwise
be read at a slowly drifting phase, which looks like growth. The thread is a greenlet when gevent has patched threading.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from voxpool.leakgate.errors import Ended, LeakgateError, NoReading, Restarted
from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.judge import LEAK, LIMIT_BYTES, UNCLEAR, judge_memory
from voxpool.leakgate.readings.naming import PAUSE_S as NAMING_PAUSE_S
from voxpool.leakgate.readings.naming import Naming, naming_s, with_lines
from voxpool.leakgate.readings.series import Reading, Series, Source
from voxpool.leakgate.report.report import WatchReport, report_of

if TYPE_CHECKING:
    from voxpool.leakgate.readings.reader import Reader

READINGS_AN_INTERVAL = 4
PAUSE_MIN_S, PAUSE_MAX_S = 0.25, 5.0
"""Minimum and maximum time between readings: a reading makes the process collect its garbage, so it must not be too
frequent; with rare clean-ups a short run needs readings, too."""
PAUSE_S = 1.0
"""Time between two readings when no clean-up is known."""
SPREAD = 0.2
"""Largest random deviation of a pause, as a share."""
AGAIN_S = 2.0
"""Time between two attempts to reach the process for the first time."""
STOP_TIMEOUT_S = 20.0
NOTES_MAX = 20
SILENT = 3
"""Number of failed readings in a row after which the process may be gone, so that earlier readings don't prove that it
is healthy."""


class Watch:
    """Watches one process; `report` can be called at any time.

    `reader` makes the reader in the thread of the watch. `limit_bytes` is the growth in bytes per unit of work that
    counts as none, `every_s` the time between two readings (0 = four between two clean-ups). `load` returns the number
    of users or connections of the load, `is_loaded` whether the load is on: later readings are shown and not judged.
    `exercised` returns the numbers of actions of the load that may leak. `needed` are first words of counts without
    which the verdict is never "no leak".
    """

    def __init__(
        self, reader: Callable[[], Reader], *, limit_bytes: float = LIMIT_BYTES, every_s: float = 0.0,
        is_loaded: Callable[[], bool] = lambda: True, load: Callable[[], float | None] = lambda: None,
        exercised: Callable[[], Mapping[str, int] | None] = lambda: None, needed: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._reader = reader
        self._limit_bytes, self._every_s = limit_bytes, every_s
        self._is_loaded, self._load, self._exercised, self._needed = is_loaded, load, exercised, needed
        self._random = random.Random()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._begin()

    def _begin(self) -> None:
        self.series = Series()
        self._source: Source | None = None
        self._notes: list[str] = []
        self._trouble = "nothing was read: the run ended first"
        self._broken = self._gone = ""
        self._failed_in_a_row = 0
        self._latest: tuple[tuple[object, ...], WatchReport] | None = None
        self._settled: tuple[Series, Source] | None = None
        self._wants_names = False
        self._naming: Naming | None = None

    def start(self) -> None:
        """Start with an empty series; returns at once. Errors are in the report, never raised."""
        self.stop()
        self._begin()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="memory watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the reading in progress."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_S)
        self._thread = None

    @property
    def is_running(self) -> bool:
        """True while readings are taken."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def naming_s(self) -> float:
        """Duration of `name_lines`, in seconds."""
        return naming_s(self._source or Source())

    def settle(self, report: WatchReport) -> None:
        """Keep the verdict of `report`, made by this watch: later readings are shown and not judged."""
        self._settled = _until(self.series, report), report.source

    def name_lines(self) -> None:
        """Trace the allocations of the process from the next reading on, to find leaking lines; returns at once.

        `settle` must be called before, because readings of a traced process are not evidence. The report has the lines,
        or a note why there are none, when `is_naming` is False.
        """
        self._wants_names = True

    @property
    def is_naming(self) -> bool:
        """True during the search for lines, or when it is requested."""
        return self._wants_names and self.is_running and (self._naming is None or not self._naming.is_over)

    def report(self, with_power: bool = False) -> WatchReport:
        """Return the current report with its verdict. `with_power` takes about a second more."""
        source, series = self._source, self.series
        naming = (self._settled, self._naming, self.is_naming, self.is_running)
        troubles = (self._trouble, self._broken, self._gone, len(self._notes))
        state = (series, series.taken, series.missed, troubles, with_power, naming)
        if self._latest is None or self._latest[0] != state:
            self._latest = state, self._report(source, series.snapshot(), with_power)
        return self._latest[1]

    def _report(self, source: Source | None, series: Series, with_power: bool) -> WatchReport:
        if source is None or self._broken:
            finding = MemoryFinding(verdict=UNCLEAR, reason=self._broken or self._trouble, notes=list(self._notes))
            return report_of(finding, source or Source(), series)
        known, about = self._settled or (series, source)
        finding = judge_memory(
            known, about, self._limit_bytes, notes=self._notes, exercised=self._exercised(), needed=self._needed,
            with_power=with_power,
        )  # fmt: skip
        if self._gone and not self._settled and finding.verdict != LEAK:
            finding = msgspec.structs.replace(finding, verdict=UNCLEAR, kind="", reason=self._gone)
        return report_of(with_lines(finding, self._naming, source), source, series)

    def _run(self, stopped: threading.Event) -> None:
        try:
            reader = self._reader()
        except LeakgateError as error:
            self._trouble = str(error)
            return
        try:
            while not stopped.is_set():
                stopped.wait(self._look(reader))
        except Ended as error:
            self._gone = self._trouble = f"the process ended while it was watched: {error}"
        except Exception as error:  # a bug: earlier readings are then no evidence
            self._broken = f"the memory watch broke: {error!r}"
            raise
        finally:
            if self._naming is not None:
                self._naming.finish(self.series.last.work if self.series.last is not None else None)
            reader.close()

    def _look(self, reader: Reader) -> float:
        """Take one reading; return the time to wait before the next one."""
        try:
            self._add(reader.read())
            self._source = reader.source()
            self._failed_in_a_row, self._gone = 0, ""
            if self._wants_names:
                self._name(reader)
        except Restarted:
            self._note("the process was restarted: only what came after the last start is judged")
            self.series = Series()
            self._wants_names, self._naming, self._settled = False, None, None
            return 0.0
        except Ended:
            raise
        except NoReading as error:
            if self._source is None:
                self._trouble = str(error)
                return AGAIN_S
            self.series.missed += 1
            self._note(str(error))
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= SILENT:
                self._gone = f"the last {self._failed_in_a_row} readings failed: {error}"
        assert self._source is not None
        pause = NAMING_PAUSE_S if self.is_naming else pause_s(self._source.interval_s, self._every_s)
        return pause * self._random.uniform(1 - SPREAD, 1 + SPREAD)

    def _add(self, reading: Reading) -> None:
        self.series.add(msgspec.structs.replace(reading, load=self._load(), judged=self._is_loaded()))

    def _name(self, reader: Reader) -> None:
        """Start or continue the search for leaking lines."""
        assert self._source is not None and self.series.last is not None
        if self._naming is None:
            tracing = reader.tracing()
            if tracing is None:
                self._wants_names = False
                self._note(
                    "no line can be named: only a process that mounts voxpool.leakgate.inside traces its allocations"
                )
                return
            self._naming = Naming(tracing, self._source)
        self._naming.step(self.series.last.work, self.series.last.t_s)

    def _note(self, text: str) -> None:
        if text not in self._notes and len(self._notes) < NOTES_MAX:
            self._notes.append(text)


def _until(series: Series, report: WatchReport) -> Series:
    """Return the part of `series` that `report` is based on."""
    until_s = report.last.t_s if report.last is not None else 0.0
    known = series.snapshot()
    known.taken, known.missed = report.taken, report.missed
    known.readings = [one for one in known.readings if one.t_s <= until_s]
    return known


def pause_s(interval_s: float, every_s: float = 0.0) -> float:
    """Return the mean pause between two readings: `every_s`, or a fraction of the clean-up interval."""
    if every_s or not interval_s:
        return every_s or PAUSE_S
    return min(PAUSE_MAX_S, max(PAUSE_MIN_S, interval_s / READINGS_AN_INTERVAL))
