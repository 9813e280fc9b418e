"""Tracing of allocations on demand: which source lines hold the memory that came since tracing began.

It slows a process down by about half and takes memory of its own, so it is for the search after a leak was found, and
it stops by itself. Allocated bytes can't be read while it is on.
"""

from __future__ import annotations

import threading
import tracemalloc

import msgspec

from voxpool.leakgate.errors import TraceError

FRAMES_MAX = 10
ROWS_MAX = 50
TRACE_SECONDS_MAX = 900
"""Tracing stops by itself after this time at the latest: whoever started it may be gone."""
_HIDDEN = (tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__))
_Lines = tuple[str, ...]


class TraceRow(msgspec.Struct):
    """What one place in the source allocated and still holds, less what it held at the mark."""

    lines: list[str]
    """path:line of the allocation, then of its callers; as many as the frames that are traced."""
    grown_bytes: int
    grown_blocks: int
    bytes: int
    blocks: int


class Trace(msgspec.Struct):
    """State of the tracing; `rows` are the places that grew most since the mark, the largest first."""

    on: bool
    frames: int
    traced_bytes: int
    """All that is held and was allocated since tracing began."""
    own_bytes: int
    """What the tracing itself takes."""
    rows: list[TraceRow]


class Tracer:
    """Switches tracemalloc. It refuses to touch a tracing that somebody else began."""

    def __init__(self, seconds_max: float = TRACE_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._lock = threading.RLock()
        self._end: threading.Timer | None = None
        self._mark: dict[_Lines, tuple[int, int]] = {}

    def start(self, frames: int = 1, seconds: float | None = None) -> Trace:
        """Begin to trace, with `frames` (1 to FRAMES_MAX) lines for each place. It stops by itself after `seconds`
        (None = the longest time that is allowed). Raises TraceError.
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
        """Measure growth from now on, once the caches are warm, say. Raises TraceError when tracing is off."""
        with self._lock:
            self._mark = self._held()
            return self._state()

    def top(self, rows: int = ROWS_MAX) -> Trace:
        """Return the places that grew most since the mark, at most `rows`. Raises TraceError when tracing is off.

        It takes about a second for a million blocks, with the lock of the interpreter for a part of that.
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
        """End the tracing and release what it holds. Raises TraceError when it is off."""
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
