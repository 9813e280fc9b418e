"""Computes the smallest growth that a run would have detected, by judging its noise with planted growth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from voxpool.leakgate.judging.trend import Series, Trend, Verdict, block_length, judge

TRIES = 60
"""Number of series made from the noise of one."""
MISSED_MAX = 1
"""Maximum number of missed series: with two of 60 the power may be below 95 %."""
FACTORS = (1.1, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0)
"""Planted growth, in limits."""
LARGER = 1.25
"""Factor on the noise, because one run shows its noise within about a fifth only, and the result must also hold for the
next run; leakgate/judging/bench.py measures the 95 %."""
BLOCK_TIMES = 3
"""Length of a block of noise, in correlation lengths of readings."""


def smallest_found(values: Series, limit: float, *, times: Series, work: Series, seed: int = 1) -> float | None:
    """Return the smallest growth per unit of work that is detected with 95 % power; None when the largest tried growth
    is not.

    The noise is the deviation of the series from its line. Blocks of it are resampled, which keeps the correlation of
    readings; a line with the growth is added, and the sum is judged.
    """
    trend = judge(values, limit, times=times, work=work)
    if not np.isfinite(trend.growth):
        return None
    done = (work - work[0]) / float(work[-1] - work[0])
    noises = _noises(values - trend.growth * done, trend, np.random.default_rng(seed))

    def is_found(growth: float) -> bool:
        missed = 0
        for noise in noises:
            missed += judge(noise + growth * done, limit, times=times, work=work).verdict is not Verdict.LEAK
            if missed > MISSED_MAX:
                return False
        return True

    place = _first(len(FACTORS), lambda place: is_found(FACTORS[place] * limit))
    return None if place is None else FACTORS[place] * limit / float(work[-1] - work[0])


def _noises(noise: Series, trend: Trend, rng: np.random.Generator) -> list[Series]:
    """Return resampled series of noise; the part before settling is unchanged."""
    before, settled = noise[: trend.settled_from], noise[trend.settled_from :]
    settled = settled.mean() + LARGER * (settled - settled.mean())
    length = len(settled)
    block = min(BLOCK_TIMES * block_length(settled), max(1, length // 3))
    made = []
    for _ in range(TRIES):
        starts = rng.integers(0, length, math.ceil(length / block))
        places = (starts[:, None] + np.arange(block)).ravel()[:length] % length
        made.append(np.concatenate([before, settled[places]]))
    return made


def _first(count: int, holds: Callable[[int], bool]) -> int | None:
    """Return the first of `count` indices with `holds`, which is monotonic; None if there is none."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low < count else None
