"""Selects the readings that count, checks that they are enough, and tests for work that is kept too long."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from voxpool.leakgate.judging.trend import READINGS_MIN
from voxpool.leakgate.readings.series import Reading, Series, Source

OUTLIVED_MIN = 8.0
"""Number of kept units that is never reported as too many."""
OUTLIVED_SLACK = 0.01
"""Tolerance on kept work, because the two figures of a reading are some ms apart."""
OUTLIVED_TIMES = 3
"""Number of consecutive readings that must show it."""
OVERDUE_MAX = 5.0
"""Tolerated delay of a clean-up on a busy machine, in intervals."""
MISSED_MAX = 0.5
"""Largest share of failed readings at which the others are evidence."""
LOAD_MOVES = 0.05
"""Largest relative change of a steady load."""


def judged_readings(series: Series, source: Source) -> list[Reading]:
    """Return the readings that count: those after the load has started and retained work has reached its final amount.
    Without a clean-up nothing is removed, so there is no such amount.
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
    """Return what a verdict lacks; "" = nothing."""
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
    """Return which of the needed counts could not be taken; "" = none."""
    for word in needed:
        read = sum(word not in one.unread for one in readings)
        if read < READINGS_MIN:
            return f"the {word} could be counted in {read} of {len(readings)} readings only"
    return ""


def kept_too_long(series: Series, source: Source) -> str | None:
    """Return a sentence when more finished work is kept than was finished within its retention, else None.

    The compared time reaches back to the last reading at or before the start of the retention, so the allowance is
    never too small.
    """
    times = [one.t_s for one in series.readings]
    sentences: list[str] = []
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
        sentences.append(
            f"{one.kept:,} finished {source.unit}s are kept, {could:,} were finished within the last "
            f"{one.t_s - times[at]:,.1f} s: they outlive their retention of {source.retention_s:g} s"
        )
    return sentences[-1] if len(sentences) == OUTLIVED_TIMES else None


def rise(values: Sequence[float]) -> float:
    """Return the change of a series from the median of its first third to that of its last; for steady growth this is
    two thirds of the total.
    """
    if not values:
        return 0.0
    third = max(1, len(values) // 3)
    return float(np.median(values[-third:]) - np.median(values[:third]))
