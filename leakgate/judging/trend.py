"""Does this series grow with the work? Judges a series of any quantity of any process.

A verdict is LEAK, NO_LEAK or UNCLEAR; callers must not treat UNCLEAR as healthy. Nothing here measures; the readings
can be at any phase of periodic activity of the process. The steps:

1. settling: the first third of the time is left out. Caches that fill there and warm-ups do not count.
2. lows: the rest is cut into segments of equal time, and each gives its lowest reading. A saw-tooth (a clean-up, a
   buffer that is flushed) has its bottom in each segment that is as long as its period, whatever the phase of the
   readings, and garbage that waits for its collection only adds to a reading. Segments are tried in several numbers,
   from many short ones to five long ones; the number with the narrowest interval counts.
3. slope: the least-squares line through the lows, over the work, with Student's interval; neighbouring lows that
   depend on each other widen it (the variance of an AR(1), with the first correlation corrected for its bias).
4. steadiness: a random walk has a line through it, too. The steps from low to low must all be alike: their mean is
   tested against their own scatter, which for a random walk is the right test and for noise a strict one. And each
   third of the lows must rise, the slowest at a quarter of the speed of the fastest: a step, or a cache that is full at
   last, is no leak.
5. limit: growth up to the limit counts as none, whatever its significance; so does a series that never changed by more
   than that at the same speed.

LEAK needs steps 3 to 5; NO_LEAK needs the whole interval of step 3 below the limit, and no rise at the end.
How often it errs is measured by bench.py on the shapes of shapes.py: docs/memory-watch.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

SETTLING = 1 / 3
"""The share of the time that is excluded at the start."""
SEGMENTS = (20, 12, 8, 5)
"""Numbers of segments that are tried."""
STEADY_SEGMENTS = (12, 8, 5)
"""Numbers of segments of which one must show steady steps."""
READINGS_A_SEGMENT = 3
"""Minimum readings per segment, so that its lowest one is meaningful; the fewest segments may have fewer."""
READINGS_MIN = 12
"""Minimum number of readings, settling included."""
CONFIDENCE = 0.95
"""Confidence of the interval of the slope; its upper end decides NO_LEAK."""
STEADY = 0.997
"""One-sided confidence of the test of the steps."""
STEADY_COUNT = 0.9995
"""The same for counts, stricter because a process has hundreds of them; they are exact, so they can meet it."""
STEADY_FEW = 0.9998
"""The same for the smallest number of segments: four steps of a random walk are often similar."""
STRAIGHT = 12.0
"""Number of standard errors from which a slope over eight or more lows needs no test of its steps."""
LIKE_SPEED = 0.25
"""The slowest third of a leak still has this share of the fastest one's slope."""
LATE_SHARE = 0.8
"""The lows after this share must not be exceptionally high, else growth has just begun."""


class Verdict(StrEnum):
    """The verdict on a series."""

    LEAK = "leak"
    NO_LEAK = "no leak"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Trend:
    """A verdict with its evidence. Values are in the unit of the readings; growth is over all readings."""

    verdict: Verdict
    reason: str
    readings: int
    settled_from: int
    """The index of the first reading after settling."""
    segments: int
    """Number of segments of the interval; 0 = there were too few readings."""
    at: list[float]
    """The middle of each segment on the axis of the work, for charts; there may be fewer than for the line."""
    lows: list[float]
    """The lowest reading of each."""
    growth: float
    """The slope through the lows times all of the work."""
    growth_low: float
    growth_high: float
    limit: float
    """Growth over all of the work that still counts as none."""


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    deviation: float
    """Standard error of the slope."""
    error: float
    """Half of its interval."""
    segments: int


def judge(
    values: Sequence[float] | NDArray[np.floating[Any]],
    limit: float,
    *,
    times: Sequence[float] | Series | None = None,
    work: Sequence[float] | Series | None = None,
    steady: float = STEADY,
) -> Trend:
    """Return the verdict on `values`, oldest first.

    `limit` is the growth over all readings, in the unit of `values`, that still counts as none; it must be above 0,
    because growth can be bounded but never excluded. `times` (rising) and `work` (never falling) have one number a
    reading; without them readings are a step apart, and work is time. `steady` is STEADY or STEADY_COUNT. A value that
    is not finite (unreadable) makes the verdict UNCLEAR.
    """
    if limit <= 0:
        raise ValueError("limit must be above 0: a growth of nothing can't be proven")
    series = np.asarray(values, dtype=float)
    t = np.arange(len(series), dtype=float) if times is None else np.asarray(times, dtype=float)
    x = t if work is None else np.asarray(work, dtype=float)
    if not len(series) == len(t) == len(x):
        raise ValueError("values, times and work must have one length")
    if not np.all(np.isfinite(series)):
        return _unclear("a reading is missing", len(series), limit)
    if len(series) < READINGS_MIN:
        return _unclear(f"too little evidence: {len(series)} readings, {READINGS_MIN} are needed", len(series), limit)
    if x[-1] <= x[0]:
        return _unclear("no work was done", len(series), limit)
    start = int(np.searchsorted(t, t[0] + SETTLING * (t[-1] - t[0])))
    return _Judge(series, t, x, start, limit, steady).trend()


class _Judge:
    """Judges one series; `start` is its first reading after settling."""

    def __init__(self, series: Series, t: Series, x: Series, start: int, limit: float, steady: float) -> None:
        self._all, self._start, self._limit, self._steady = len(series), start, limit, steady
        self._span = float(x[-1] - x[0])
        self._t, self._x, self._y = t[start:], x[start:], series[start:]
        self._lows: dict[int, tuple[Series, Series] | None] = {}

    def trend(self) -> Trend:
        lines = [line for count in SEGMENTS if (line := self._line(count)) is not None]
        if not lines:
            return _unclear("too little evidence: the readings are too far apart", self._all, self._limit)
        line = min(lines, key=lambda one: one.error)
        allowed = self._limit / self._span
        low, high = line.slope - line.error, line.slope + line.error
        grows = line.slope > allowed and low > 0
        drawn = self.lows(STEADY_SEGMENTS[0]) or self.lows(STEADY_SEGMENTS[-1])
        assert drawn is not None  # five segments have a reading each, or there would be no line
        # The most segments that show the shape: those with an interval not much wider than the narrowest.
        finest = next(one for one in lines if one.error <= 2.0 * line.error)
        is_straight = line.segments > SEGMENTS[-1] and line.slope > STRAIGHT * line.deviation
        is_steady = is_straight or any(self._is_steady(count) for count in STEADY_SEGMENTS)
        if float(np.ptp(self._y)) <= allowed * float(self._x[-1] - self._x[0]):
            verdict, reason = Verdict.NO_LEAK, "never moved by more than the limit"
        elif grows and is_steady and self._is_alike(finest.segments):
            verdict, reason = Verdict.LEAK, "rises steadily, by more than the limit"
        elif high <= allowed and not self._rises_late(allowed):
            verdict, reason = Verdict.NO_LEAK, "growth above the limit is excluded"
        elif grows or high <= allowed:
            verdict, reason = Verdict.UNCLEAR, "rises, but not steadily (a step, a cache that fills, a random walk)"
        else:
            verdict, reason = Verdict.UNCLEAR, "too noisy to exclude growth above the limit"
        return Trend(
            verdict=verdict,
            reason=reason,
            readings=self._all,
            settled_from=self._start,
            segments=line.segments,
            at=drawn[0].tolist(),
            lows=drawn[1].tolist(),
            growth=line.slope * self._span,
            growth_low=low * self._span,
            growth_high=high * self._span,
            limit=self._limit,
        )

    def lows(self, count: int) -> tuple[Series, Series] | None:
        """Return work and value of each of `count` segments: its middle and its lowest reading. None when one of them
        has no reading.
        """
        if count not in self._lows:
            self._lows[count] = self._lowest(count)
        return self._lows[count]

    def _lowest(self, count: int) -> tuple[Series, Series] | None:
        edges = np.searchsorted(self._t, np.linspace(self._t[0], self._t[-1], count + 1)[:-1])
        sizes = np.diff(np.append(edges, len(self._t)))
        if np.any(sizes < 1):
            return None
        return np.add.reduceat(self._x, edges) / sizes, np.minimum.reduceat(self._y, edges)

    def _line(self, count: int) -> _Line | None:
        """Return the line through `count` lows; None where there are too few readings for that."""
        if len(self._t) < READINGS_A_SEGMENT * count and count != SEGMENTS[-1]:
            return None
        found = self.lows(count)
        if found is None or float(np.ptp(found[0])) == 0.0:
            return None
        x, y = found[0] - found[0].mean(), found[1] - found[1].mean()
        squares = float(x @ x)
        slope = float(x @ y) / squares
        rest = y - slope * x
        variance = float(rest @ rest) / (count - 2) / squares
        first = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300)
        if count > SEGMENTS[-1]:  # five lows are too few for their correlation
            first = min(0.9, max(0.0, first + (1.0 + 4.0 * max(first, 0.0)) / count))
            variance *= (1.0 + first) / (1.0 - first)
        deviation = math.sqrt(variance)
        return _Line(slope, deviation, _quantile((1.0 + CONFIDENCE) / 2, count - 2) * deviation, count)

    def _is_alike(self, count: int) -> bool:
        """True when each third of `count` lows rises at a similar speed."""
        found = self.lows(count)
        assert found is not None
        x, y = found
        width = max(3, math.ceil(count / 3))
        starts = (0, (count - width) // 2, count - width)
        slopes = [_slope(x[at : at + width], y[at : at + width]) for at in starts]
        return min(slopes) > 0 and min(slopes) >= LIKE_SPEED * max(slopes)

    def _is_steady(self, count: int) -> bool:
        """True when the steps from low to low rise by more than their own scatter explains."""
        found = self.lows(count)
        if found is None or (len(self._t) < 2 * count and count != STEADY_SEGMENTS[-1]):
            return False
        x, y = found
        steps, widths = np.diff(y), np.diff(x)
        rest = steps - widths * float(y[-1] - y[0]) / max(float(x[-1] - x[0]), 1e-12)
        scatter = math.sqrt(float(rest @ rest) / (len(steps) - 1))
        share = STEADY_FEW if count == STEADY_SEGMENTS[-1] else self._steady
        return float(steps.mean()) > _quantile(share, len(steps) - 1) * scatter / math.sqrt(len(steps))

    def _rises_late(self, allowed: float) -> bool:
        """True when the end exceeds all lows before it by more than the limit allows: late growth changes the whole
        line only a little.
        """
        found = self.lows(12) or self.lows(5)
        assert found is not None
        x, y = found
        cut = round(LATE_SHARE * len(y))
        before = y[:cut]
        scatter = float(before.std(ddof=1)) if cut > 2 else 0.0
        rise = float(np.median(y[cut:]) - np.median(before))
        return rise > max(allowed * float(x[-1] - x[0]), 3.0 * scatter)


def _slope(x: Series, y: Series) -> float:
    x = x - x.mean()
    squares = float(x @ x)
    return float(x @ y) / squares if squares else 0.0


def _unclear(reason: str, readings: int, limit: float) -> Trend:
    nan = math.nan
    return Trend(Verdict.UNCLEAR, reason, readings, 0, 0, [], [], nan, nan, nan, limit)


@lru_cache(maxsize=256)
def _quantile(share: float, degrees: int) -> float:
    from scipy.special import stdtrit  # takes 0.3 s to import (scipy.stats 1 s), so only when a verdict is needed

    return float(stdtrit(degrees, share))


def autocorrelation_time(values: Series) -> float:
    """Return the integrated autocorrelation time, in samples, of the residuals of a straight line; at least 1."""
    n = len(values)
    if n < 8:
        return 1.0
    x = np.arange(n, dtype=float)
    rest = values - np.polyval(np.polyfit(x, values, 1), x)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(rest, size)) ** 2
    covariance = np.fft.irfft(power, size)[:n]
    if covariance[0] <= 1e-12 * max(1.0, float(np.mean(values)) ** 2):
        return 1.0
    # Dividing by n - lag undoes the bias towards 0 of long lags; Sokal's window keeps their noise out.
    correlation = covariance / covariance[0] * (n / (n - np.arange(n)))
    time = 1.0
    for lag in range(1, n // 3):
        time += 2.0 * float(correlation[lag])
        if lag >= 5.0 * time:
            break
    # Subtracting the line reduces the correlation: for AR(1) by about (2 + 4 phi) / n (Tjostheim and Paulsen 1983).
    first = float(correlation[1])
    first = min(0.99, first + (2.0 + 4.0 * first) / n)
    return max(1.0, time, (1.0 + first) / (1.0 - first))


def block_length(values: Series) -> int:
    """Return the number of samples in a block: twice the autocorrelation time, so blocks are nearly independent."""
    time = autocorrelation_time(values)
    return 1 if time < 1.3 else math.ceil(2.5 * time)
