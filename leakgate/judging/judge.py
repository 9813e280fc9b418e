"""The verdict of a series of readings about the memory of a process.

1. Kept work: at most the work finished within its retention may be kept. This is exact, at any load, and detects
   records that are not removed earlier than a trend of bytes.
2. Counts (tables, objects by type, tasks, files, members of a store): each is judged as a series. A count with a
   declared bound is not a leak below it.
3. Allocated bytes. Other sizes determine the kind: allocated flat and the allocators' memory up is fragmentation; both
flat and the RSS up is native memory that bypasses them. Without allocated bytes only the RSS is judged.

A rising or falling load changes all of these without a leak: then the verdict is UNCLEAR, unless the growth is larger
than the load explains. Every series is judged by leakgate/judging/trend.py. Nothing here measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from voxpool.leakgate.judging.evidence import (
    LOAD_MOVES,
    judged_readings,
    kept_too_long,
    rise,
    what_is_too_little,
    what_was_unread,
)
from voxpool.leakgate.judging.finding import Growth, Kind, MemoryFinding
from voxpool.leakgate.judging.power import smallest_found
from voxpool.leakgate.judging.trend import READINGS_MIN, Trend, Verdict, judge
from voxpool.leakgate.readings.counts import count_limit, grown_counts, growth_of
from voxpool.leakgate.readings.series import Reading, Series, Source

LIMIT_BYTES = 50.0
"""Growth of allocated bytes, in bytes per unit of work, up to which it counts as none."""
RSS_TIMES = 16.0
"""Factor on the limit of allocated bytes for RSS and arenas, which change by whole arenas."""
RSS_SLACK = 2_000_000.0
"""When only the RSS is known, its limit is at most this number of bytes above that of allocated bytes: an arena of
CPython 3.10 and later, and pages that a young process touches for the first time. With the factor of sixteen alone 84
of 90 leaks were missed."""
OUTSIDE_MIN = 4_000_000.0
"""Growth outside both allocators that counts as none, however little work was done: a scheduler that had just started
touched 1.4 MB in its first half minute, evenly."""
DECISIVE = 2.0
"""A count that grows by more than this number of limits is a leak even while the work inside the process changes."""
WORK_BYTES_TIMES = 2.0
"""Tolerance factor, because the process's account of its work excludes data stored with it."""
GROWING_MAX = 12
FASTEST_MAX = 10
NAMED_MAX = 3
"""Maximum number of counts that the reason names."""
LEAK, NO_LEAK, UNCLEAR = Verdict.LEAK.value, Verdict.NO_LEAK.value, Verdict.UNCLEAR.value


def warm_up() -> None:
    """Import the modules of a verdict now, because that takes a second and would later stall concurrent work."""
    judge(np.arange(100.0) % 7 + np.arange(100.0) / 9, 1.0)


def judge_memory(
    series: Series, source: Source, limit_bytes: float = LIMIT_BYTES, *, notes: Sequence[str] = (),
    exercised: Mapping[str, int] | None = None, needed: Sequence[str] = (), with_power: bool = False,
) -> MemoryFinding:  # fmt: skip
    """Return the finding on `series`; `limit_bytes` is growth for each unit of work that still counts as none.

    `notes` come first in its notes. `exercised` has the numbers of actions of the load that may leak, such as
    "reconnects"; the finding names those that are 0. `needed` are first words of counts without which the verdict is
    never "no leak", such as "store". `with_power` computes the smallest detectable growth, which takes about a second.

    Readings count from a retention and an interval after the start of the load, when retained work has reached its
    final amount.
    """
    readings = judged_readings(series, source)
    outlived = kept_too_long(series, source)
    if outlived is None and (too_little := what_is_too_little(series, readings, source)):
        return _finding(source, UNCLEAR, too_little, readings, notes, exercised)
    work = readings[-1].work - readings[0].work if readings else 0
    if work <= 0 or len(readings) < READINGS_MIN:
        reason = outlived or f"no {source.unit} was finished between the readings"
        kind: Kind = "kept work" if outlived else ""
        return _finding(source, LEAK if outlived else UNCLEAR, reason, readings, notes, exercised, kind=kind)
    judged = _Judge(readings, source, limit_bytes, list(notes))
    finding = judged.finding(outlived, exercised, with_power)
    unread = what_was_unread(readings, needed)
    if unread and finding.verdict == NO_LEAK:
        return msgspec.structs.replace(finding, verdict=UNCLEAR, reason=unread)
    return finding


def _finding(
    source: Source, verdict: str, reason: str, readings: Sequence[Reading], notes: Sequence[str],
    exercised: Mapping[str, int] | None, *, kind: Kind = "",
) -> MemoryFinding:  # fmt: skip
    """Return a finding without figures of growth."""
    return MemoryFinding(
        verdict=verdict,
        reason=reason,
        kind=kind,
        unit=source.unit,
        readings=len(readings),
        not_exercised=_never(exercised),
        notes=list(notes),
    )


def _never(exercised: Mapping[str, int] | None) -> list[str]:
    return [name for name, times in (exercised or {}).items() if not times]


class _Judge:
    """Judges the readings of one run."""

    def __init__(self, readings: list[Reading], source: Source, limit_bytes: float, notes: list[str]) -> None:
        self._readings, self._source, self._notes = readings, source, notes
        self._times = np.array([one.t_s for one in readings])
        self._work = np.array([one.work for one in readings], dtype=float)
        self._units = int(self._work[-1] - self._work[0])
        fills, self._unsized = self._bounds_fill()
        self._limit_bytes = limit_bytes * self._units + fills
        self._rss_limit = RSS_TIMES * self._limit_bytes
        self._rss_alone_limit = min(self._rss_limit, self._limit_bytes + RSS_SLACK)
        if fills:
            self._notes.append(
                f"the limit is {self._limit_bytes / self._units:,.0f} B a {source.unit}: {limit_bytes:g}, and "
                f"{fills / self._units:,.0f} for tables with a declared bound, which filled up meanwhile"
            )

    def finding(self, outlived: str | None, exercised: Mapping[str, int] | None, with_power: bool) -> MemoryFinding:
        """Return the finding on the readings."""
        allocated = self._bytes(lambda one: one.allocated_bytes, self._limit_bytes)
        held = self._bytes(lambda one: one.held_bytes, self._rss_limit)
        outside = self._bytes(
            lambda one: None if one.held_bytes is None else one.rss_bytes - one.held_bytes,
            max(self._rss_limit, OUTSIDE_MIN),
        )
        rss = self._bytes(
            lambda one: one.rss_bytes, self._rss_limit if allocated is not None else self._rss_alone_limit
        )
        assert rss is not None
        unsteady = self._unsteady()
        counts = grown_counts(self._readings, self._source, self._limit_bytes)
        growing = [one for one in counts if one.verdict == LEAK]
        if unsteady and not outlived:
            growing = [one for one in growing if self._is_decisive(one)]
        kind, verdict, reason = self._decide(outlived, growing, unsteady, allocated, held, outside, rss)
        return MemoryFinding(
            verdict=verdict,
            reason=reason,
            kind=kind,
            unit=self._source.unit,
            work=self._units,
            seconds=float(self._times[-1] - self._times[0]),
            readings=len(self._readings),
            allocated=None if allocated is None else growth_of("allocated bytes", "B", allocated, self._units),
            rss=growth_of("RSS", "B", rss, self._units),
            growing=growing[:GROWING_MAX],
            fastest=counts[:FASTEST_MAX],
            power_bytes=self._power() if with_power else None,
            not_exercised=_never(exercised),
            notes=self._notes,
        )

    # ---- bytes

    def _bytes(self, get: Callable[[Reading], int | None], limit: float) -> Trend | None:
        """Return the trend of a size; None when half of the readings don't have it."""
        known = [(one.t_s, one.work, value) for one in self._readings if (value := get(one)) is not None]
        if len(known) < max(READINGS_MIN, len(self._readings) / 2):
            return None
        times, work, values = (np.array(column, dtype=float) for column in zip(*known, strict=True))
        return judge(values, limit, times=times, work=work)

    def _bounds_fill(self) -> tuple[float, list[str]]:
        """Return the bytes by which tables with a declared bound grew below it, and the tables that grew by entries of
        unknown size.
        """
        first, last = self._readings[0].counts, self._readings[-1].counts
        fills, unsized = 0.0, []
        for name, bound in self._source.bounds.items():
            entries = min(last.get(name, 0), bound.entries) - min(first.get(name, 0), bound.entries)
            if bound.entry_bytes is None and entries > count_limit(name, self._units, 0.0):
                unsized.append(name)
            fills += max(0, entries) * (bound.entry_bytes or 0.0)
        return fills, unsized

    def _power(self) -> float | None:
        known = [(one.t_s, one.work, one.allocated_bytes) for one in self._readings if one.allocated_bytes is not None]
        limit = self._limit_bytes
        if len(known) < READINGS_MIN:
            known = [(one.t_s, one.work, one.rss_bytes) for one in self._readings]
            limit = self._rss_alone_limit
        times, work, values = (np.array(column, dtype=float) for column in zip(*known, strict=True))
        return smallest_found(values, limit, times=times, work=work)

    # ---- the verdict

    def _decide(
        self, outlived: str | None, growing: list[Growth], unsteady: tuple[str, float] | None, allocated: Trend | None,
        held: Trend | None, outside: Trend | None, rss: Trend,
    ) -> tuple[Kind, str, str]:  # fmt: skip
        unit = self._source.unit
        if outlived is not None:
            return "kept work", LEAK, outlived
        main, kind = (rss, "native") if allocated is None else (allocated, "objects")
        name = "RSS" if allocated is None else "allocated bytes"
        size = _interval(main, self._units)
        limit = f"limit {main.limit / self._units:,.0f} B"
        known = np.isfinite(main.growth)
        if growing:
            names = ", ".join(
                f"{one.name} grows by {one.short} a {unit}" for one in sorted(growing, key=_vagueness)[:NAMED_MAX]
            )
            return "counts", LEAK, names + (f"; {name} {size} a {unit}, {limit}" if known else "")
        if unsteady is not None and not (
            main.verdict is Verdict.LEAK and main.growth_low > main.limit + abs(unsteady[1])
        ):
            return "", UNCLEAR, unsteady[0]
        if main.verdict is Verdict.LEAK and self._unsized:
            tables = ", ".join(self._unsized)
            hint = f"declare what an entry takes ({self._unsized[0]}=N:BYTES), or run until it is full"
            return "", UNCLEAR, f"{name} grow by {size} a {unit}, but {tables} filled up below the bound: {hint}"
        if main.verdict is Verdict.LEAK:
            return kind, LEAK, f"{name} grow{'s' if allocated is None else ''} by {size} a {unit}, {limit}"  # type: ignore[return-value]
        if outside is not None and outside.verdict is Verdict.LEAK:
            flat = "are flat" if main.verdict is Verdict.NO_LEAK else "tell nothing"
            grown = f"{outside.growth / self._units:,.0f} B a {unit}"
            return (
                "native",
                LEAK,
                f"allocated bytes {flat}, but the RSS grows by {grown} beyond what both allocators hold",
            )
        if main.verdict is Verdict.UNCLEAR:
            why = "" if allocated is not None else self._unreadable()
            return "", UNCLEAR, f"{why}{name}: {main.reason}{self._hint(main)}"
        if held is not None and held.verdict is Verdict.LEAK:
            self._notes.append("fragmentation: allocated bytes are flat, but the allocators hold more and more")
            return "fragmentation", NO_LEAK, f"allocated bytes: {main.reason}; what the allocators hold grows"
        return (
            "",
            NO_LEAK,
            f"{name}: {main.reason} ({size} a {unit}, {limit})",
        )

    def _unreadable(self) -> str:
        why = next((one.unreadable for one in self._readings if one.unreadable), "")
        return f"the process can't read its allocators ({why}); " if why else ""

    def _hint(self, trend: Trend) -> str:
        """Return how much longer a run must be to decide: an interval shrinks faster than the square root of time."""
        if not np.isfinite(trend.growth) or trend.growth > trend.limit:
            return "; a longer run, or more work a second, would tell"
        room, error = trend.limit - trend.growth, (trend.growth_high - trend.growth_low) / 2
        return f"; a run about {max(1.5, error / max(room, 1e-9)):.1f} times as long would tell"

    def _unsteady(self) -> tuple[str, float] | None:
        """Return a sentence and the change when the load itself changed the bytes by more than the limit, else None.
        Without a clean-up every unit of work adds to the kept work, and that is the leak.
        """
        loads = [one.load for one in self._readings if one.load is not None]
        moved = WORK_BYTES_TIMES * rise([one.work_bytes for one in self._readings if one.work_bytes is not None])
        if self._load_moved():
            sentence = f"the load was not steady: it went from {loads[0]:g} to {loads[-1]:g}, and what it holds with it"
            share = abs(rise(loads)) / max(loads)
            allocated = [one.allocated_bytes or one.rss_bytes for one in self._readings]
            return sentence, max(abs(moved), share * max(allocated))
        if not self._source.interval_s or abs(moved) <= self._limit_bytes:
            return None
        word = "rose" if moved > 0 else "fell"
        sentence = (
            f"the load was not steady: what the process keeps of its {self._source.unit}s {word} by about "
            f"{abs(moved):,.0f} bytes, as it should; a smaller leak can't be seen"
        )
        return sentence, moved

    def _load_moved(self) -> bool:
        loads = [one.load for one in self._readings if one.load is not None]
        return bool(loads) and abs(rise(loads)) > LOAD_MOVES * max(loads)

    # ---- counts

    def _is_decisive(self, one: Growth) -> bool:
        """True when a count grows by much more than the changing work inside the process explains. With more
        connections every count grows, so none is decisive.
        """
        return not self._load_moved() and one.low is not None and one.low > DECISIVE * one.limit


def _vagueness(one: Growth) -> int:
    """Return the rank of a name by how specific it is: a table, a type of the program, a type such as dict."""
    return 0 if not one.name.startswith("type ") else 1 if "." in one.name else 2


def _interval(trend: Trend, units: int) -> str:
    return f"{trend.growth / units:,.0f} B ({trend.growth_low / units:,.0f} to {trend.growth_high / units:,.0f})"
