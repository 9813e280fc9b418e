"""Readings of a process, and the bounded series of them that is judged.

Records only: nothing here reads, waits or judges. Times are seconds since the start of a watch, on a monotonic clock;
sizes are bytes. A value that could not be read is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import msgspec

READINGS_MAX = 1024
"""Maximum number of readings. A full series drops every second one and then keeps half as many, so that a week fits as
well as a minute, evenly spaced."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of a process."""

    t_s: float
    work: int
    """Units of work that the process has finished since it started: requests, jobs, messages."""
    cleanups: int = 0
    """Runs of its periodic clean-up since the start of the watch; 0 when there is none."""
    age_s: float | None = None
    """Seconds since the last clean-up; None before one was seen, and when there is none."""
    kept: int | None = None
    """Finished units of work that the process retains for a declared time."""
    in_flight: int | None = None
    """Unfinished units of work."""
    work_bytes: int | None = None
    """Bytes of `kept` and `in_flight`, as reported by the process."""
    load: float | None = None
    """Number of users or connections of the load."""
    judged: bool = True
    """False for a reading that is only drawn, because the load was ending."""
    rss_bytes: int
    pss_bytes: int | None = None
    """Bytes in RAM with shared pages divided by the number of processes that share them."""
    allocated_bytes: int | None = None
    """Requested and not freed: `python_bytes` + `malloc_bytes`."""
    held_bytes: int | None = None
    """Mapped by both allocators."""
    python_bytes: int | None = None
    arenas_bytes: int | None = None
    malloc_bytes: int | None = None
    malloc_free_bytes: int | None = None
    blocks: int | None = None
    """Blocks of CPython's small-object allocator."""
    objects: int | None = None
    """Objects tracked by the collector."""
    collect_ms: float = 0.0
    """Pause of the process for the garbage collection before a reading."""
    counts: dict[str, int] = {}
    """Name -> number. The first word of a name is its kind: "table core.node_registry.nodes", "type dict", "task
    Queue.run", "open files", "threads", "store keys free". A name that holds " bytes " is a size in bytes."""
    counts_are_whole: bool = True
    """True when a type missing in `counts` means 0; else there were too many types to name all."""
    unread: tuple[str, ...] = ()
    """First words of names that this reading does not have, such as "store": there a missing name does not mean 0."""
    unreadable: str = ""
    """Reason why the allocators can't be read."""


class Bound(msgspec.Struct, frozen=True):
    """The declared maximum of a count: growth up to it is a cache that fills, not a leak."""

    entries: int
    entry_bytes: float | None = 0.0
    """Maximum bytes of an entry; allocated bytes may grow by it for each entry below the bound. None = unknown: while
    such a table fills, it may explain growth of allocated bytes."""


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
    """Data of the process other than readings."""

    name: str = ""
    """The name of the process: a URL or a pid."""
    unit: str = "request"
    """The word for one unit of work."""
    interval_s: float = 0.0
    """Seconds between two runs of its periodic clean-up; 0 = it has none, or none is known."""
    retention_s: float = 0.0
    """Seconds for which finished work is retained; 0 = it is not."""
    bounds: dict[str, Bound] = {}
    """Name of a count -> its declared bound."""


class Series:
    """The readings of a run, bounded."""

    def __init__(self, readings_max: int = READINGS_MAX) -> None:
        self.readings: list[Reading] = []
        """Readings in chronological order."""
        self.first: Reading | None = None
        self.last: Reading | None = None
        self.missed = 0
        """Readings that failed."""
        self.taken = 0
        """Readings that did not fail."""
        self._readings_max = readings_max
        self._stride = 1

    def add(self, reading: Reading) -> None:
        """Add `reading`, which is the newest."""
        self.first = self.first or reading
        self.last = reading
        if self.taken % self._stride == 0:
            self.readings.append(reading)
            if len(self.readings) >= self._readings_max:
                del self.readings[1::2]
                self._stride *= 2
        self.taken += 1

    def snapshot(self) -> Series:
        """Return an independent copy, for another thread."""
        copied = copy(self)
        copied.readings = list(self.readings)
        return copied
