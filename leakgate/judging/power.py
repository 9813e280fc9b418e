"""How small a growth a run would have found: its own noise, with growth planted in it, judged again and again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from voxpool.leakgate.judging.trend import Series, Trend, Verdict, block_length, judge

TRIES = 60
"""Series that are made of the noise of one."""
MISSED_MAX = 1
"""How many of these may not be found: with two of 60 the power could as well be below 95 %."""
FACTORS = (1.1, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0)
"""Growth that is planted, in limits."""
LARGER = 1.25
"""The noise is taken this much larger than it was. One run shows its noise to about a fifth only, and what comes out is
to hold for the next run, too: 95 % is measured by leakgate/judging/bench.py."""
BLOCK_TIMES = 3
"""A block of noise is this many times as long as neighbouring readings depend on each other."""


def smallest_found(values: Series, limit: float, *, times: Series, work: Series, seed: int = 1) -> float | None:
    """Return the smallest growth for each unit of work that is found with 95 % power; None when not even the largest
    that is tried is.

    What the series strays from its own line is its noise. Blocks of it are put together anew, which keeps how
    neighbouring readings depend on each other; a line of the growth in question is added, and the whole is judged.
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
    """Return series of noise like this one; what came before settling stays as it is."""
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
    """Return the first of `count` places at which `holds`, which holds at all later ones, too; None if at none."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low < count else None
