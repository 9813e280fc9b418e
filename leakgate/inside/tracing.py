"""Traces allocations on request, to find the source lines that keep memory.

It slows a process down by about half and takes memory, so it is used after a leak was found, and stops automatically.
Allocated bytes can't be read while it is on.
"""

from __future__ import annotations

import threading
import tracemalloc

import msgspec

from voxpool.leakgate.errors import TraceError

FRAMES_MAX = 10
ROWS_MAX = 50
TRACE_SECONDS_MAX = 900
"""Maximum duration of tracing, because the client that started it may be gone."""
_HIDDEN = (tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__))
_Lines = tuple[str, ...]


class TraceRow(msgspec.Struct):
    """Memory allocated at one place in the source and not freed, minus that at the mark."""

    lines: list[str]
    """path:line of the allocation, then of its callers; one for each traced frame."""
    grown_bytes: int
    grown_blocks: int
    bytes: int
    blocks: int


class Trace(msgspec.Struct):
    """State of the tracing; `rows` are the places with the largest growth since the mark, in descending order."""

    on: bool
    frames: int
    traced_bytes: int
    """Bytes allocated since the start of tracing and not freed."""
    own_bytes: int
    """Memory used by the tracing."""
    rows: list[TraceRow]


class Tracer:
    """Switches tracemalloc. It refuses to change a tracing that it did not start."""

    def __init__(self, seconds_max: float = TRACE_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._lock = threading.RLock()
        self._end: threading.Timer | None = None
        self._mark: dict[_Lines, tuple[int, int]] = {}

    def start(self, frames: int = 1, seconds: float | None = None) -> Trace:
        """Start tracing, with `frames` (1 to FRAMES_MAX) lines for each place. It stops after `seconds` (None = the
        maximum). Raises TraceError.
        """
        if not 1 <= frames <= FRAMES_MAX:
            raise TraceError(f"frames={frames}: 1 to {FRAMES_MAX} are possible")
        with self._lock:
            if tracemalloc.is_tracing():
                raise TraceError("tracing is on already: stop it first, or unset PYTHONTRACEMALLOC")
            tracemalloc.start(frames)
            self._mark = {}
            bound_s = self._seconds_max if seconds is None else min(seconds, self._seconds_max)
            self._end = threading.Timer(bound_s, self._stop_if_on)
            self._end.daemon = True
            self._end.start()
            return self._state()

    def mark(self) -> Trace:
        """Measure growth from now on, for example after caches are warm. Raises TraceError when tracing is off."""
        with self._lock:
            self._mark = self._held()
            return self._state()

    def top(self, rows: int = ROWS_MAX) -> Trace:
        """Return at most `rows` places with the largest growth since the mark. Raises TraceError when tracing is off.

        It takes about a second for a million blocks, partly with the interpreter's lock.
        """
        with self._lock:
            held = self._held()
            grown = [
                TraceRow(list(lines), size - before[0], blocks - before[1], size, blocks)
                for lines, (size, blocks) in held.items()
                if size > (before := self._mark.get(lines, (0, 0)))[0]
            ]
            grown.sort(key=lambda row: -row.grown_bytes)
            return self._state(grown[: min(rows, ROWS_MAX)])

    def stop(self) -> Trace:
        """Stop tracing and free its memory. Raises TraceError when it is off."""
        with self._lock:
            self._must_be_on()
            self._stop_if_on()
            return self._state()

    def _held(self) -> dict[_Lines, tuple[int, int]]:
        self._must_be_on()
        snapshot = tracemalloc.take_snapshot().filter_traces(_HIDDEN)
        held: dict[_Lines, tuple[int, int]] = {}
        for statistic in snapshot.statistics("traceback"):
            lines = tuple(f"{frame.filename}:{frame.lineno}" for frame in reversed(statistic.traceback))
            held[lines] = (statistic.size, statistic.count)
        return held

    def _must_be_on(self) -> None:
        if self._end is None or not tracemalloc.is_tracing():
            raise TraceError("tracing is off: start it first (it stops by itself after a time)")

    def _stop_if_on(self) -> None:
        with self._lock:
            if self._end is not None:
                self._end.cancel()
                self._end = None
                tracemalloc.stop()
            self._mark = {}

    def _state(self, rows: list[TraceRow] | None = None) -> Trace:
        is_on = tracemalloc.is_tracing()
        traced = tracemalloc.get_traced_memory()[0] if is_on else 0
        frames = tracemalloc.get_traceback_limit() if is_on else 0
        return Trace(is_on, frames, traced, tracemalloc.get_tracemalloc_memory() if is_on else 0, rows or [])
