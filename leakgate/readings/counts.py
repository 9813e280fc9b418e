"""Finds counts that grow with the work: entries of tables, objects by type, tasks, files, keys of a store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxpool.leakgate.judging.evidence import rise
from voxpool.leakgate.judging.finding import Growth
from voxpool.leakgate.judging.trend import READINGS_MIN, STEADY_COUNT, Series, Trend, Verdict, judge
from voxpool.leakgate.readings.series import Bound, Reading, Source

LIMIT = 8.0
LIMIT_A_UNIT = 0.002
"""Growth of a count up to which it counts as none: the larger of the two, the second per unit of work."""
OF_A_UNIT = 10
"""Maximum objects and entries of a unit of work inside the process: a count that grows by fewer per additional unit
follows the load."""
PEEKED = 9
"""Readings of each third that are checked for any change of a count."""


def grown_counts(readings: Sequence[Reading], source: Source, limit_bytes: float) -> list[Growth]:
    """Return the growing counts, leaks first, ordered by their growth in limits.

    `limit_bytes` is the growth over all readings that counts as none for counts that are sizes. A count with a declared
    bound is left out below it.
    """
    units = readings[-1].work - readings[0].work
    more = (
        _more_work(readings) if source.interval_s else 0.0
    )  # without a clean-up this is the leak, not its explanation
    found = []
    for name in sorted({name for one in readings for name in one.counts}):
        limit = count_limit(name, units, limit_bytes)
        if _moved(readings, name) <= limit / 4:
            continue
        known = _known(readings, name)
        if known is None or max(known[2]) <= source.bounds.get(name, Bound(0)).entries:
            continue
        times, work, values = known
        trend = judge(values, limit + OF_A_UNIT * more, times=times, work=work, steady=STEADY_COUNT)
        if trend.growth > 0:  # a count that rose at first and falls since does not grow
            found.append(growth_of(name, "B" if " bytes " in name else "", trend, units))
    return sorted(found, key=lambda one: (one.verdict != Verdict.LEAK.value, -(one.a_unit or 0.0) / one.limit))


def count_limit(name: str, units: int, limit_bytes: float) -> float:
    """Return the growth of a count over all readings that counts as none."""
    return limit_bytes if " bytes " in name else max(LIMIT, LIMIT_A_UNIT * units)


def growth_of(name: str, unit: str, trend: Trend, units: int) -> Growth:
    """Return `trend` as growth for each of `units`."""

    def a_unit(value: float) -> float | None:
        return float(value) / units if np.isfinite(value) else None

    return Growth(
        name=name, unit=unit, verdict=trend.verdict.value, reason=trend.reason, at=trend.at, lows=trend.lows,
        a_unit=a_unit(trend.growth), low=a_unit(trend.growth_low), high=a_unit(trend.growth_high),
        limit=trend.limit / units, readings=trend.readings,
    )  # fmt: skip


def _moved(readings: Sequence[Reading], name: str) -> float:
    """Return the growth of a count from the first third to the last, by a few readings of each: it is fast, because a
    process has hundreds of counts, of which most do not change.
    """
    third = max(1, len(readings) // 3)
    step = max(1, third // PEEKED)
    word = name.split(" ", 1)[0]
    ends = readings[:third:step], readings[-third::step]
    before, after = ([one.counts.get(name, 0) for one in some if word not in one.unread] for some in ends)
    return float(np.median(after) - np.median(before)) if before and after else float("inf")


def _known(readings: Sequence[Reading], name: str) -> tuple[Series, Series, Series] | None:
    """Return times, work and values of a count; None when too few readings have it."""
    word = name.split(" ", 1)[0]
    taken = [one for one in readings if word not in one.unread]
    known = [
        (one.t_s, one.work, one.counts.get(name, 0))
        for one in taken
        if name in one.counts or one.counts_are_whole or word != "type"
    ]
    if len(known) < max(READINGS_MIN, 0.9 * len(taken)):
        return None
    times, work, values = zip(*known, strict=True)
    return np.array(times, dtype=float), np.array(work, dtype=float), np.array(values, dtype=float)


def _more_work(readings: Sequence[Reading]) -> float:
    """Return the significant increase of work inside the process from the start to the end."""
    inside = [(one.kept or 0) + (one.in_flight or 0) for one in readings]
    return max(0.0, 1.5 * rise(inside) - 3.0 * float(np.sqrt(np.mean(inside))))
