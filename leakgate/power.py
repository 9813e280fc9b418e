"""How small a growth a run would have found: its own noise, with growth planted in it, judged again and again."""

from __future__ import annotations

import numpy as np

from leakgate.trend import Series, Verdict, judge

TRIES = 60
"""Series that are made of the noise of one."""
MISSED_MAX = 1
"""Of these, how many may not be found: at two of 60 the power could as well be below 95 %."""
FACTORS = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0)
"""Growth that is planted, in limits."""


def smallest_found(values: Series, limit: float, *, times: Series, work: Series, seed: int = 1) -> float | None:
    """Return the smallest growth for each unit of work that is found with 95 % power; None when not even the largest
    that is tried is.

    What the series strays from its own line is its noise. It is turned around, so that it begins at another moment,
    which keeps how it hangs together; a line of the growth in question is added, and the whole is judged.
    """
    trend = judge(values, limit, times=times, work=work)
    if not np.isfinite(trend.growth):
        return None
    span = float(work[-1] - work[0])
    noise = values - trend.growth * (work - work[0]) / span
    settled = noise[trend.settled_from :]
    rng = np.random.default_rng(seed)
    turned = [np.roll(settled, int(by)) for by in rng.integers(0, len(settled), TRIES)]

    def is_found(growth: float) -> bool:
        missed = 0
        for rest in turned:
            made = np.concatenate([noise[: trend.settled_from], rest]) + growth * (work - work[0]) / span
            missed += judge(made, limit, times=times, work=work).verdict is not Verdict.LEAK
            if missed > MISSED_MAX:
                return False
        return True

    low, high = 0, len(FACTORS) - 1
    if not is_found(FACTORS[high] * limit):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_found(FACTORS[middle] * limit) else (middle + 1, high)
    return FACTORS[low] * limit / span
