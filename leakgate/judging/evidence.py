"""Which readings of a watch count, whether they are enough, and the exact test of what is kept too long."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from voxpool.leakgate.judging.trend import READINGS_MIN
from voxpool.leakgate.readings.series import Reading, Series, Source

OUTLIVED_MIN = 8.0
"""Units of work that are never called kept too long."""
OUTLIVED_SLACK = 0.01
"""By how much more work may be kept than can be: the two figures of a reading are some ms apart."""
OUTLIVED_TIMES = 3
"""Readings in a row that must show it."""
OVERDUE_MAX = 5.0
"""Intervals for which a clean-up that is late on a busy machine excuses what it has not removed yet."""
MISSED_MAX = 0.5
"""The share of readings that may fail; those that did not are evidence all the same."""
LOAD_MOVES = 0.05
"""Share by which the load may change before it is not steady."""


def judged_readings(series: Series, source: Source) -> list[Reading]:
    """Return the readings that count: those from the time on at which the load is there and what is kept on purpose can
    be complete. Without a clean-up nothing ever leaves, so that it never is.
    """
    if not series.readings:
        return []
    loads = [one.load for one in series.readings if one.load is not None]
    all_there = (1 - LOAD_MOVES) * float(np.median(loads)) if loads else 0.0
    from_s = next(one.t_s for one in series.readings if one.load is None or one.load >= all_there)
    if source.interval_s:
        from_s += source.retention_s + source.interval_s
    return [one for one in series.readings if one.judged and one.t_s >= from_s]


def what_is_too_little(series: Series, readings: list[Reading], source: Source) -> str:
    """Say what a verdict lacks; "" when nothing."""
    if not series.readings:
        return "nothing could be read"
    tried = series.taken + series.missed
    if series.missed > MISSED_MAX * tried:
        return f"{series.missed} of {tried} readings failed"
    if len(readings) < READINGS_MIN:
        seconds = series.readings[-1].t_s - series.readings[0].t_s
        each_s = seconds / max(1, len(series.readings) - 1)
        known_s = source.retention_s + source.interval_s if source.interval_s else 0.0
        sense = f" after the first {known_s:,.0f} s, in which what is kept on purpose piles up" if known_s else ""
        return (
            f"too little evidence: {len(readings)} readings{sense}, {READINGS_MIN} are needed: run for "
            f"{known_s + 1.5 * READINGS_MIN * each_s:,.0f} s or more (a reading took {each_s:,.1f} s)"
        )
    return ""


def what_was_unread(readings: list[Reading], needed: Sequence[str]) -> str:
    """Say which of the counts that are needed could not be taken; "" when all were."""
    for word in needed:
        read = sum(word not in one.unread for one in readings)
        if read < READINGS_MIN:
            return f"the {word} could be counted in {read} of {len(readings)} readings only"
    return ""


def kept_too_long(series: Series, source: Source) -> str | None:
    """Say that more finished work is kept than was finished within its retention, or None.

    The allowance reaches back to the last reading at or before that time, so it is never too small.
    """
    times = [one.t_s for one in series.readings]
    said: list[str] = []
    for one in [one for one in series.readings if one.judged][-OUTLIVED_TIMES:]:
        if one.kept is None:
            return None
        late_s = min(max(source.interval_s, one.age_s or 0.0), OVERDUE_MAX * source.interval_s)
        at = bisect_right(times, one.t_s - source.retention_s - source.interval_s - late_s) - 1
        if at < 0:
            return None
        could = one.work - series.readings[at].work
        if one.kept <= could + max(OUTLIVED_MIN, OUTLIVED_SLACK * could):
            return None
        said.append(
            f"{one.kept:,} finished {source.unit}s are kept, {could:,} were finished within the last "
            f"{one.t_s - times[at]:,.1f} s: they outlive their retention of {source.retention_s:g} s"
        )
    return said[-1] if len(said) == OUTLIVED_TIMES else None


def rise(values: Sequence[float]) -> float:
    """Return how far a series moved, whatever its noise: from the median of its first third to that of its last. Of
    what grows steadily that is two thirds.
    """
    if not values:
        return 0.0
    third = max(1, len(values) // 3)
    return float(np.median(values[-third:]) - np.median(values[:third]))
