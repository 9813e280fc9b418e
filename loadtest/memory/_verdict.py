"""What a series of a scheduler's memory says: counts first, since they are exact, then bytes, by leakgate/trend.py.

1. Finished jobs: no more may be in the table than ended within the retention and two intervals. That is exact, at any
   load, and finds records that stay before a trend of bytes could.
2. Counts (tables, objects by type, tasks, files, members in Redis): each is judged as a series.
3. Live bytes just after each sweep. What else grows tells what it is: live flat and the allocators' memory up is
   fragmentation; both flat and the RSS up is native memory that goes round them.

The scheduler's own history of 310 seconds fills while it is young: what that may take is added to the floor.
A load that rises or falls moves all of these and is no leak: then the verdict is UNCLEAR. Nothing here measures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from loadtest.memory._records import STORE, Growing, Kind, MemoryFinding, MemorySample, MemorySeries, TrendFigures
from scheduler.key_heap import STALE_MAX
from leakgate.trend import BLOCKS_MIN, Trend, Verdict, judge, theil_sen

LEAK_FLOOR = 50.0
"""Growth of live bytes, in bytes a job, that still counts as none."""
RSS_TIMES = 16.0
"""RSS and arenas move in steps of a whole arena: their floor is so many times that of live bytes."""
COUNT_FLOOR = 8.0
COUNT_FLOOR_A_JOB = 0.002
"""Growth of a count that still counts as none: the larger of the two."""
HISTORY = "type scheduler.telemetry.live_history._Second"
BOUNDED = {HISTORY: 312, "type scheduler.telemetry.spread.Spread": 4 * 312}
"""The scheduler's history for its dashboard: a record a second, of the last 310. Up to so many are no growth."""
HISTORY_BYTES, HISTORY_BYTES_A_JOB, HISTORY_BYTES_MAX = 2_000.0, 45.0, 10_000.0
"""What one such record takes at most: the first, and more for each job of its second, up to the third. Measured with
service times of 50 ms to 2 s: 1.8 kB at 20 jobs/s, 2.8 kB at 50, 3.9 to 9.9 kB at 250 and at 2,000."""
HEAP = "._deadlines._heap"
"""A heap of numbers; up to STALE_MAX of them may stay when what they stood for has gone (scheduler/key_heap.py)."""
OF_A_JOB = 10
"""Objects and entries that a job in the table may have: a count that rises by less than so many for each job more in
it follows the load."""
OUTLIVED_SLACK = 0.01
"""How far finished jobs may be above what can be there: the two readings of a sample are some ms apart."""
OUTLIVED_TIMES = 3
"""Samples in a row that must show it."""
JOBS_BYTES_TIMES = 2.0
"""The table's own account of a job leaves out the text of its result and its place in the indices."""
MISSED_MAX = 0.1
"""The share of readings, and of looks into the store, that may fail."""
USERS_MOVE = 0.05
"""Users that come or go, as a share of all, past which a load is not steady."""
GROWING_MAX = 12
LEAK, NO_LEAK, UNCLEAR = Verdict.LEAK.value, Verdict.NO_LEAK.value, Verdict.UNCLEAR.value


def warm_up() -> None:
    """Import now what a verdict needs, which takes a second: at its own time it would stall the load."""
    judge(np.arange(100.0) % 7 + np.arange(100.0) / 9, 1.0)


def judge_memory(
    series: MemorySeries, retention_s: float, leak_floor: float = LEAK_FLOOR, notes: Sequence[str] = (),
    is_store_asked: bool = False,
) -> MemoryFinding:  # fmt: skip
    """Return the finding on `series`; `leak_floor` is in bytes a job that ended, `notes` come first in its notes.

    `is_store_asked`: somebody wants to know of the store, so without its figures nothing is healthy.

    With the clean-up on nothing is judged before the table can be full: a retention and an interval after the start.
    """
    samples = _judged(series, retention_s)
    outlived = _outlived(series, retention_s)
    if outlived is None and (too_little := _too_little(series, samples, retention_s)):
        return MemoryFinding(UNCLEAR, too_little, leak_floor=leak_floor, notes=list(notes))
    jobs = samples[-1].jobs_ended - samples[0].jobs_ended if samples else 0
    if jobs <= 0:
        reason = outlived or "no job ended between the samples"
        verdict = LEAK if outlived else UNCLEAR
        kind: Kind = "finished jobs" if outlived else ""
        return MemoryFinding(verdict, reason, kind, leak_floor=leak_floor, notes=list(notes))
    finding = _Judge(samples, jobs, leak_floor, [*notes], bool(series.interval_s)).finding(outlived)
    counted = sum(sample.store_bytes is not None for sample in samples)
    if is_store_asked and finding.verdict == NO_LEAK and counted < (1 - MISSED_MAX) * len(samples):
        reason = f"the store could be counted in {counted} of {len(samples)} samples only"
        return msgspec.structs.replace(finding, verdict=UNCLEAR, reason=reason)
    return finding


def _judged(series: MemorySeries, retention_s: float) -> list[MemorySample]:
    """The samples after the warm-up that is known: once the users are there, and the table can be full. With the
    clean-up off nothing ever leaves it, so it is never full.
    """
    if not series.raw:
        return []
    users = [sample.users for sample in series.raw if sample.users is not None]
    all_there = (1 - USERS_MOVE) * float(np.median(users)) if users else 0.0
    from_s = next(sample.t_s for sample in series.raw if sample.users is None or sample.users >= all_there)
    if series.interval_s:
        from_s += retention_s + series.interval_s
    return [sample for sample in series.swept if sample.t_s >= from_s]


def _too_little(series: MemorySeries, samples: list[MemorySample], retention_s: float) -> str:
    if not series.raw:
        return "nothing could be read"
    read = series.read + series.missed
    if series.missed > MISSED_MAX * read:
        return f"{series.missed} of {read} readings failed"
    if len(samples) < BLOCKS_MIN:
        warm_up_s = retention_s + series.interval_s if series.interval_s else 0.0
        needed_s = warm_up_s + BLOCKS_MIN * series.interval_s
        return (
            f"too little evidence: {len(samples)} samples just after a sweep once the table can be full, {BLOCKS_MIN} "
            f"are needed; with a retention of {retention_s:g} s and a sweep every {series.interval_s:g} s run for "
            f"{needed_s:,.0f} s or more, or shorten both"
        )
    return ""


def _outlived(series: MemorySeries, retention_s: float) -> str | None:
    """Say that more finished jobs are in the table than ended within their retention, or None.

    The allowance reaches back to the last sample at or before that time, so it is never too small.
    """
    within_s = retention_s + 2 * series.interval_s
    times = [sample.t_s for sample in series.raw]
    told: list[str] = []
    for sample in series.swept[-OUTLIVED_TIMES:]:
        at = bisect_right(times, sample.t_s - within_s) - 1
        if at < 0:
            return None
        could = sample.jobs_ended - series.raw[at].jobs_ended
        if sample.jobs_finished <= could + max(COUNT_FLOOR, OUTLIVED_SLACK * could):
            return None
        told.append(
            f"{sample.jobs_finished:,} finished jobs are in the table, {could:,} ended within the last "
            f"{sample.t_s - times[at]:,.1f} s: they outlive their retention of {retention_s:g} s"
        )
    return told[-1] if len(told) == OUTLIVED_TIMES else None


class _Judge:
    """Judges the samples of one run."""

    def __init__(
        self, samples: list[MemorySample], jobs: int, leak_floor: float, notes: list[str], is_swept: bool
    ) -> None:
        self._is_swept = is_swept
        self._samples = samples
        self._jobs = jobs
        self._leak_floor = leak_floor
        records = max(0, samples[-1].counts.get(HISTORY, 0) - samples[0].counts.get(HISTORY, 0))
        jobs_a_s = jobs / max(1.0, samples[-1].t_s - samples[0].t_s)
        history_bytes = records * min(HISTORY_BYTES_MAX, HISTORY_BYTES + HISTORY_BYTES_A_JOB * jobs_a_s)
        self._floor_bytes = leak_floor * jobs + history_bytes
        if records:
            notes.append(
                f"the scheduler is young: the history of its dashboard grew by {records} records meanwhile, for which "
                f"{history_bytes / jobs:,.0f} bytes a job are allowed on top of {leak_floor:g}"
            )
        self._notes = notes
        self._trends: dict[str, Trend] = {}

    def finding(self, outlived: str | None) -> MemoryFinding:
        """Return what they say."""
        self._judge_bytes()
        live = self._trends.get("live")
        unsteady = self._unsteady()
        growing = [] if unsteady and not outlived else self._growing()
        kind, verdict, reason = self._decide(outlived, growing, unsteady, live)
        growth = self._growth(live)
        return MemoryFinding(
            verdict=verdict,
            reason=reason,
            kind=kind,
            samples=len(self._samples),
            jobs=self._jobs,
            bytes_a_job=growth[0] / self._jobs if growth else None,
            bytes_a_job_low=growth[1] / self._jobs if growth else None,
            bytes_a_job_high=growth[2] / self._jobs if growth else None,
            leak_floor=self._leak_floor,
            trends={name: _figures(trend) for name, trend in self._trends.items()},
            growing=growing,
            notes=self._notes,
        )

    def _judge_bytes(self) -> None:
        readable = [sample for sample in self._samples if sample.live_bytes is not None]
        if len(readable) == len(self._samples):
            self._trends["live"] = self._judge(lambda s: s.live_bytes, self._floor_bytes)
            self._trends["held"] = self._judge(lambda s: s.held_bytes, RSS_TIMES * self._floor_bytes)
            outside = self._judge(lambda s: s.rss_bytes - (s.held_bytes or 0), RSS_TIMES * self._floor_bytes)
            self._trends["outside"] = outside
        self._trends["rss"] = self._judge(lambda s: s.rss_bytes, RSS_TIMES * self._floor_bytes)

    def _growth(self, live: Trend | None) -> tuple[float, float, float] | None:
        """Growth of live bytes with its interval; also where the samples are too few for a verdict on it."""
        if live is None:
            return None
        if np.isfinite(live.growth):
            return live.growth, live.growth_low, live.growth_high
        slope, low, high = theil_sen(np.array([sample.live_bytes or 0 for sample in self._samples], dtype=float))
        steps = len(self._samples) - 1
        return (slope * steps, low * steps, high * steps) if np.isfinite([slope, low, high]).all() else None

    def _judge(self, get: Callable[[MemorySample], float | None], floor: float) -> Trend:
        return judge([np.nan if (value := get(sample)) is None else value for sample in self._samples], floor)

    def _decide(
        self, outlived: str | None, growing: list[Growing], unsteady: str, live: Trend | None
    ) -> tuple[Kind, str, str]:
        if outlived is not None:
            return "finished jobs", LEAK, outlived
        if unsteady:
            return "", UNCLEAR, unsteady
        if growing:
            names = ", ".join(f"{one.name} ({one.values[0]:,} to {one.values[-1]:,})" for one in growing[:3])
            growth = self._growth(live)
            size = f"; live bytes by {growth[0] / self._jobs:,.0f} a job" if growth else ""
            return "counts", LEAK, f"these grow with the jobs: {names}{size}"
        if live is None:
            why = next((s.unreadable for s in self._samples if s.unreadable), "no reason was given")
            return "", UNCLEAR, f"the scheduler can't read its allocators: {why}"
        if live.verdict is not Verdict.NO_LEAK:
            if live.verdict is Verdict.UNCLEAR:
                return "", UNCLEAR, f"live bytes: {live.reason}; a longer run, or more jobs a second, would tell"
            return "objects", LEAK, f"live bytes: {live.reason}"
        if self._trends["outside"].verdict is Verdict.LEAK:
            return "native", LEAK, "live bytes are flat, but the RSS grows beyond what both allocators hold"
        if self._trends["held"].verdict is Verdict.LEAK:
            self._notes.append("fragmentation: live bytes are flat, but the allocators hold more and more")
            return "fragmentation", NO_LEAK, f"live bytes: {live.reason}; what the allocators hold grows"
        return "", NO_LEAK, f"live bytes: {live.reason}"

    def _unsteady(self) -> str:
        """Say that the load itself moved the bytes by more than the floor; "" when it did not. With the clean-up off
        every job adds to the table, and that is the leak.
        """
        users = [sample.users for sample in self._samples if sample.users is not None]
        if users and abs(_rise(users)) > USERS_MOVE * max(users):
            return (
                f"the load was not steady: its users went from {users[0]} to {users[-1]}, and what they hold with them"
            )
        if not self._is_swept:
            return ""
        moved = JOBS_BYTES_TIMES * _rise([sample.jobs_bytes for sample in self._samples])
        if abs(moved) <= self._floor_bytes:
            return ""
        word = "rose" if moved > 0 else "fell"
        return (
            f"the load was not steady: the jobs in the table {word} by about {abs(moved):,.0f} bytes, as they should; "
            f"a leak below that can't be told"
        )

    def _growing(self) -> list[Growing]:
        """The counts that grow, the fastest first. A name that is missing where not all were named is left out."""
        found = []
        more_jobs = self._more_jobs()
        for name in sorted({name for sample in self._samples for name in sample.counts}):
            values = self._values(name)
            floor = self._count_floor(name) + OF_A_JOB * more_jobs
            if values is None or _rise(values) <= floor / 2 or max(values) <= BOUNDED.get(name, 0):
                continue
            trend = judge(values, floor)
            if trend.verdict is Verdict.LEAK:
                found.append(Growing(name, trend.growth / self._jobs, values))
        return sorted(found, key=lambda one: -one.a_job)[:GROWING_MAX]

    def _more_jobs(self) -> float:
        """How many more jobs are in the table at the end, past what chance explains; with the clean-up off that is the
        leak, not its reason.
        """
        if not self._is_swept:
            return 0.0
        jobs = [sample.jobs_unfinished + sample.jobs_finished for sample in self._samples]
        return max(0.0, 1.5 * _rise(jobs) - 3.0 * float(np.sqrt(np.mean(jobs))))

    def _count_floor(self, name: str) -> float:
        if name.startswith("store bytes"):
            return self._floor_bytes
        floor = max(COUNT_FLOOR, COUNT_FLOOR_A_JOB * self._jobs)
        return floor + STALE_MAX if name.endswith(HEAP) else floor

    def _values(self, name: str) -> list[int] | None:
        if name.startswith(STORE):
            counted = [sample for sample in self._samples if sample.store_bytes is not None]
            enough = len(counted) >= max(BLOCKS_MIN, (1 - MISSED_MAX) * len(self._samples))
            return [sample.counts.get(name, 0) for sample in counted] if enough else None
        if not all(sample.counts_are_whole or name in sample.counts for sample in self._samples):
            return None
        return [sample.counts.get(name, 0) for sample in self._samples]


def _rise(values: Sequence[float]) -> float:
    """From the median of the first third to that of the last: how far a series moved, whatever its noise. Of what
    grows steadily that is two thirds.
    """
    third = max(1, len(values) // 3)
    return float(np.median(values[-third:]) - np.median(values[:third]))


def _figures(trend: Trend) -> TrendFigures:
    def told(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return TrendFigures(
        verdict=trend.verdict.value,
        reason=trend.reason,
        samples=trend.samples,
        growth=told(trend.growth),
        growth_low=told(trend.growth_low),
        growth_high=told(trend.growth_high),
        floor=trend.floor,
    )
