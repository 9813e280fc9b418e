"""Readings of a process, and the bounded series of them that a verdict rests on.

Records only: nothing here reads, waits or judges. Times are seconds since the start of a watch, on a clock that never
goes back; sizes are bytes. What a reading could not measure is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import msgspec

READINGS_MAX = 1024
"""Readings kept. A full series drops every second one and keeps half as many from then on, so that a week fits as well
as a minute, evenly spaced."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a process."""

    t_s: float
    work: int
    """Units of work that the process has finished since it started: requests, jobs, messages."""
    cleanups: int = 0
    """Runs of its periodic clean-up that were seen since the watch began; 0 when there is none."""
    age_s: float | None = None
    """Seconds since the last clean-up; None before one was seen, and when there is none."""
    kept: int | None = None
    """Finished units of work that the process keeps on purpose, for a declared time."""
    in_flight: int | None = None
    """Units of work that are not finished."""
    work_bytes: int | None = None
    """What `kept` and `in_flight` take, by the process's own account."""
    load: float | None = None
    """Users or connections that make the load at that moment."""
    judged: bool = True
    """False when it is only drawn: the load was already ending."""
    rss_bytes: int
    pss_bytes: int | None = None
    """The process's share of what it has in RAM, shared pages divided by those who share them."""
    allocated_bytes: int | None = None
    """Asked for and not given back: `python_bytes` + `malloc_bytes`."""
    held_bytes: int | None = None
    """Taken from the system by both allocators."""
    python_bytes: int | None = None
    arenas_bytes: int | None = None
    malloc_bytes: int | None = None
    malloc_free_bytes: int | None = None
    blocks: int | None = None
    """Blocks of CPython's small-object allocator."""
    objects: int | None = None
    """Objects that the collector follows."""
    collect_ms: float = 0.0
    """How long the process stood still for the garbage collection that comes before a reading."""
    counts: dict[str, int] = {}
    """Name -> number. The first word of a name is its kind: "table core.node_registry.nodes", "type dict", "task
    Queue.run", "open files", "threads", "store keys free". A name that holds " bytes " is a size in bytes."""
    counts_are_whole: bool = True
    """True when a type that is missing in `counts` stands for 0; else there were too many types to name all."""
    unread: tuple[str, ...] = ()
    """First words of the names that this reading did not take, such as "store": there a missing name is no 0."""
    unreadable: str = ""
    """Why the allocators can't be read."""


class Bound(msgspec.Struct, frozen=True):
    """What a count may reach: growth up to there is a cache that fills, and no leak."""

    entries: int
    entry_bytes: float | None = 0.0
    """What one entry takes at most; allocated bytes may grow by that for each entry that is added below the bound. None
    = not known: while such a table fills, growth of allocated bytes may be its."""


def parse_bounds(texts: Iterable[str]) -> dict[str, Bound]:
    """Return the bounds of texts such as "table app.cache=1000", or "table app.cache=1000:80" where an entry takes 80
    bytes; empty ones are left out. Raises ValueError.
    """
    bounds = {}
    for text in texts:
        if not text.strip():
            continue
        name, _, number = text.strip().rpartition("=")
        entries, sign, size = (part.strip() for part in number.partition(":"))
        if not name or not entries.isdecimal() or (sign and not size.isdecimal()):
            raise ValueError(f"{text.strip()}: want NAME=N or NAME=N:BYTES, such as 'table app.cache=1000:80'")
        bounds[name.strip()] = Bound(int(entries), float(size) if sign else None)
    return bounds


class Source(msgspec.Struct, frozen=True):
    """What is known of the process beside its readings."""

    name: str = ""
    """What was watched, for people: a URL or a pid."""
    unit: str = "request"
    """The word for one unit of work."""
    interval_s: float = 0.0
    """Seconds between two runs of its periodic clean-up; 0 = it has none, or none is known."""
    retention_s: float = 0.0
    """Seconds for which finished work is kept on purpose; 0 = it is not."""
    bounds: dict[str, Bound] = {}
    """Name of a count -> its declared bound."""


class Series:
    """The readings of a run, bounded."""

    def __init__(self, readings_max: int = READINGS_MAX) -> None:
        self.readings: list[Reading] = []
        """In the order in which they were taken."""
        self.first: Reading | None = None
        self.last: Reading | None = None
        self.missed = 0
        """Readings that failed."""
        self.taken = 0
        """Readings that did not fail."""
        self._readings_max = readings_max
        self._stride = 1

    def add(self, reading: Reading) -> None:
        """Take in `reading`, which is the newest."""
        self.first = self.first or reading
        self.last = reading
        if self.taken % self._stride == 0:
            self.readings.append(reading)
            if len(self.readings) >= self._readings_max:
                del self.readings[1::2]
                self._stride *= 2
        self.taken += 1

    def snapshot(self) -> Series:
        """Return a copy that stays as it is, for another thread."""
        copied = copy(self)
        copied.readings = list(self.readings)
        return copied
