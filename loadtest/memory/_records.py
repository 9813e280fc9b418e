"""What is known of a scheduler's memory during a run: samples, the bounded series of them, and what was found.

Records only: nothing here reads, waits or judges, so that the watch, the verdict, the page and the report share them.
Times are seconds since the start of the watch, on a clock that never goes back; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Literal

import msgspec

SAMPLES_MAX = 1024
"""Samples kept, of each kind. A full series drops every second one and takes half as many from then on, so that a week
fits as well as a minute, evenly spaced."""
PHASE_MAX = 0.3
"""A sample counts as taken just after a sweep when its age is below this share of the interval."""

STORE = "store "
"""What the names of all counts of the store begin with."""

Mode = Literal["off", "watch"]
Kind = Literal["", "finished jobs", "counts", "objects", "native", "fragmentation"]
"""What grows: "" nothing; finished jobs outlive their retention; entries of a table or objects of a type; live bytes;
memory that goes round both allocators; only what the allocators keep (live bytes are flat)."""


class MemorySample(msgspec.Struct, frozen=True):
    """One reading of a scheduler. What it could not tell is None, never 0."""

    t_s: float
    sweep: int
    """Sweeps of the clean-up seen since the watch began; always 0 when it is off."""
    age_s: float | None
    """Since the last sweep; None before one was seen, and when the clean-up is off."""
    jobs_ended: int
    """Since the scheduler started, in whatever way."""
    jobs_finished: int
    """Finished jobs in its table."""
    jobs_unfinished: int
    jobs_bytes: int
    """What the table of jobs takes, by its own account: audio of unfinished jobs and a record each."""
    rss_bytes: int
    users: int | None = None
    """Users of the load at that moment, of all kinds; None = the watch was not told."""
    live_bytes: int | None = None
    """Asked for and not given back: `python_bytes` + `malloc_bytes`."""
    held_bytes: int | None = None
    """Taken from the system by both allocators."""
    python_bytes: int | None = None
    arenas_bytes: int | None = None
    malloc_bytes: int | None = None
    malloc_free_bytes: int | None = None
    blocks: int = 0
    """Blocks of CPython's small-object allocator."""
    objects: int = 0
    """Objects that the collector follows."""
    store_bytes: int | None = None
    """Of all keys in Redis, by MEMORY USAGE; None = not asked."""
    collect_ms: float = 0.0
    """How long the scheduler's loop stood still for the collection that comes before a reading."""
    counts: dict[str, int] = {}
    """Name -> number: "table core.fleet.nodes", "type dict", "task ScriptQueue.run_forever", "open files", "threads",
    "metric series"; just after a sweep also "store keys free", "store members free", "store bytes free". Empty in what
    `MemorySeries.raw` keeps."""
    counts_are_whole: bool = True
    """Whether a name that is missing in `counts` stands for 0; else there were too many types to name all."""
    unreadable: str = ""
    """Why the allocators can't be read."""


class MemorySeries:
    """The samples of a run, bounded: `raw` shows the saw-tooth, `swept` is what a verdict rests on.

    `interval_s` is the scheduler's cleanup_interval_s: with 0 there is no saw-tooth, and each sample is in `swept`.
    """

    def __init__(self, interval_s: float, samples_max: int = SAMPLES_MAX) -> None:
        self.interval_s = interval_s
        self.raw: list[MemorySample] = []
        """All samples, without their counts."""
        self.swept: list[MemorySample] = []
        """The first sample after each sweep, where one was taken in time."""
        self.first: MemorySample | None = None
        self.last: MemorySample | None = None
        """The first and the newest sample, with all their counts. What is in the store is told just after a sweep only:
        it is that of the first and the newest one that had it.
        """
        self.missed = 0
        """Readings that failed."""
        self._samples_max = samples_max
        self._raw_stride = self._swept_stride = 1
        self._raw_seen = self._swept_seen = 0
        self._last_sweep = 0

    def add(self, sample: MemorySample, is_judged: bool = True) -> None:
        """Take in `sample`, which is the newest. One that is not judged is shown only: the load was already ending."""
        self.first = _with_store(self.first or sample, sample)
        self.last = _with_store(sample, self.last)
        if self._raw_seen % self._raw_stride == 0:
            self.raw.append(msgspec.structs.replace(sample, counts={}))
            if len(self.raw) >= self._samples_max:
                del self.raw[1::2]
                self._raw_stride *= 2
        self._raw_seen += 1
        if is_judged and self.is_after_a_sweep(sample):
            self._last_sweep = sample.sweep
            if self._swept_seen % self._swept_stride == 0:
                self.swept.append(sample)
                if len(self.swept) >= self._samples_max:
                    del self.swept[1::2]
                    self._swept_stride *= 2
            self._swept_seen += 1

    @property
    def read(self) -> int:
        """Readings that did not fail."""
        return self._raw_seen

    def snapshot(self) -> MemorySeries:
        """Return a copy that stays as it is, for a thread of its own."""
        copied = copy(self)
        copied.raw, copied.swept = list(self.raw), list(self.swept)
        return copied

    def is_after_a_sweep(self, sample: MemorySample) -> bool:
        """Whether `sample` is the first one after a sweep and was taken in time; always when there are no sweeps."""
        if not self.interval_s:
            return True
        in_time = sample.age_s is not None and sample.age_s <= PHASE_MAX * self.interval_s
        return in_time and sample.sweep > self._last_sweep


def _with_store(sample: MemorySample, other: MemorySample | None) -> MemorySample:
    """Return `sample` with the store's counts of `other`, unless it has its own."""
    if other is None or other.store_bytes is None or sample.store_bytes is not None:
        return sample
    store = {name: count for name, count in other.counts.items() if name.startswith(STORE)}
    return msgspec.structs.replace(sample, counts={**sample.counts, **store}, store_bytes=other.store_bytes)


class Growing(msgspec.Struct, frozen=True):
    """A count that grows."""

    name: str
    a_job: float
    """Growth for each job that ended."""
    values: list[int]
    """What was judged, oldest first."""


class TrendFigures(msgspec.Struct, frozen=True):
    """A verdict of leakgate/trend.py on one series, with what it rests on. Growth is in the unit of the series, over the
    samples that were judged; what can't be told is None.
    """

    verdict: str
    """"leak", "no leak" or "unclear"."""
    reason: str
    samples: int
    growth: float | None
    growth_low: float | None
    growth_high: float | None
    floor: float


class MemoryFinding(msgspec.Struct, frozen=True):
    """What a run says about the memory of the scheduler."""

    verdict: str
    """"leak", "no leak" or "unclear" (which is never health)."""
    reason: str
    """One sentence."""
    kind: Kind = ""
    samples: int = 0
    """Those that were judged: the last so many of `MemoryReport.swept`."""
    jobs: int = 0
    """Jobs that ended between the first and the last sample that were judged."""
    bytes_a_job: float | None = None
    """Growth of live bytes for each of them, with its interval."""
    bytes_a_job_low: float | None = None
    bytes_a_job_high: float | None = None
    leak_floor: float = 0.0
    """Growth in bytes a job that still counts as none."""
    trends: dict[str, TrendFigures] = {}
    """By series: live, held, outside (RSS less held), finished."""
    growing: list[Growing] = []
    """Counts that grow, the fastest first."""
    notes: list[str] = []


class MemoryCurves(msgspec.Struct, frozen=True):
    """The samples of a run as columns of one length, for files and charts."""

    t_s: list[float]
    rss_bytes: list[int]
    live_bytes: list[int | None]
    held_bytes: list[int | None]
    store_bytes: list[int | None]
    jobs_finished: list[int]
    jobs_unfinished: list[int]
    jobs_ended: list[int]
    objects: list[int]


class MemoryReport(msgspec.Struct, frozen=True):
    """The part of a report that is about memory."""

    mode: Mode
    finding: MemoryFinding
    interval_s: float = 0.0
    """cleanup_interval_s of the scheduler; 0 = it is off."""
    retention_s: float = 0.0
    raw: MemoryCurves | None = None
    """As read, with the saw-tooth; None when nothing was read."""
    swept: MemoryCurves | None = None
    """Just after each sweep: what the verdict rests on."""
    first: MemorySample | None = None
    last: MemorySample | None = None
    """The first and the last sample, with all their counts."""
    missed: int = 0
    """Readings that failed."""


def curves(samples: list[MemorySample]) -> MemoryCurves | None:
    """Return `samples` as columns; None when there are none."""
    if not samples:
        return None

    def column(get: Callable[[MemorySample], Any]) -> list[Any]:
        return [get(sample) for sample in samples]

    return MemoryCurves(
        t_s=column(lambda s: round(s.t_s, 3)),
        rss_bytes=column(lambda s: s.rss_bytes),
        live_bytes=column(lambda s: s.live_bytes),
        held_bytes=column(lambda s: s.held_bytes),
        store_bytes=column(lambda s: s.store_bytes),
        jobs_finished=column(lambda s: s.jobs_finished),
        jobs_unfinished=column(lambda s: s.jobs_unfinished),
        jobs_ended=column(lambda s: s.jobs_ended),
        objects=column(lambda s: s.objects),
    )
