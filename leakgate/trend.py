"""Does this series grow? The one verdict on memory, used by the simulation's experiments and by the load tests.

A verdict is LEAK, NO_LEAK or UNCLEAR, and UNCLEAR fails closed: whoever asked must not take it for health.
Nothing here measures; the caller brings samples taken at the same phase of each sweep (`at_phase`). The steps, with
their sources:

1. plateau: MSER-5 (White 1997, "An effective truncation heuristic for bias reduction in simulation output"): the cut
   that leaves the smallest standard error, sought in the first half of the samples, beside the line that the second
   half follows (so that a leak costs no evidence, and a warm-up is cut off);
2. blocks: medians of blocks 2.5 times as long as the autocorrelation time (Sokal 1989: the window is five times the
   sum; or that of an AR(1) with the first correlation, corrected for its bias, when it is longer);
3. trend: Kendall's tau-b (ties counted) and Theil-Sen's slope with its interval, on the blocks;
4. agreement: both halves must rise, and at a like speed: a step, or a plateau reached late, is no leak;
5. floor: growth below `floor` is none, whatever its significance.

Two cases need no test: a plateau that never moved by more than the floor, and a straight line that strays little.

Simulated (calibration.py): 7,000 healthy saw-teeth with AR(1) noise of 0 to 0.95 on 110 to 1,000 samples, judged with
a floor of nothing, gave one false alarm. A leak that grows by four times the noise over the run, with half of that as
the floor, is found in 92 to 100 % with 1,000 samples and a correlation up to 0.8, in 91 to 100 % with 400 and up to
0.5; else the verdict is UNCLEAR, never NO_LEAK. What begins in the last few samples no test of medians sees: count
first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

BLOCKS_MIN = 12
"""Fewer blocks than this are too little evidence: six a half, of which Kendall can still tell a rise (p = 1/720)."""
SAMPLES_MIN = 50
"""On fewer samples an autocorrelation is anybody's guess: only the plain cases are told."""
ALPHA = 0.001
"""One-sided significance of the whole series. Calibrated, not nominal: calibration.py."""
ALPHA_HALF = 0.05
"""The same for each half: all three must hold together."""
CONFIDENCE = 0.98
"""Of the interval of the slope; its upper end decides NO_LEAK."""
LIKE_SPEED = 0.25
"""A leak's slower half still has this share of the faster one's slope; a plateau reached late has less."""
OBVIOUS = 10.0
"""A rise of so many times what the series strays from a straight line needs no test (of 20,000 random walks, none)."""
_MSER_BATCH = 5


class Verdict(StrEnum):
    """What a series says about memory."""

    LEAK = "leak"
    NO_LEAK = "no leak"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Trend:
    """A verdict with what it rests on. Values are in the unit of the samples; growth is the slope times all samples."""

    verdict: Verdict
    reason: str
    samples: int
    plateau_from: int
    """The index of the first sample of the plateau."""
    block: int
    """Samples a block."""
    blocks: int
    level: float
    """The median of the plateau."""
    slope: float
    """Theil-Sen's slope a sample."""
    growth: float
    growth_low: float
    growth_high: float
    p_value: float
    """Kendall's, one-sided (rising)."""
    floor: float


def at_phase(times: Sequence[float], values: Sequence[float], interval: float, phase: float) -> tuple[Series, Series]:
    """Return the last sample at or before each `phase + k * interval`, as (times, values).

    The way to read a saw-tooth: just after each sweep, say. `times` (rising) and both others share one unit. A period
    without a sample of its own gives none. Raises ValueError when the lengths differ or `interval` is not above 0.
    """
    if len(times) != len(values) or interval <= 0:
        raise ValueError("times and values must have one length, and interval must be above 0")
    t, v = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    if len(t) == 0:
        return t, v
    marks = np.arange(math.ceil((t[0] - phase) / interval), math.floor((t[-1] - phase) / interval) + 1)
    index = np.searchsorted(t, phase + marks * interval, side="right") - 1
    index = np.unique(index[index >= 0])
    return t[index], v[index]


def judge(values: Sequence[float] | NDArray[np.floating[Any]], floor: float) -> Trend:
    """Return the verdict on `values`, samples at the same phase of each sweep, oldest first.

    `floor` is the growth over all samples, in the unit of `values`, that still counts as none; it must be above 0,
    because growth can be bounded but never excluded. A value that is not finite (unreadable) makes it UNCLEAR.
    """
    if floor <= 0:
        raise ValueError("floor must be above 0: a growth of nothing can't be proven")
    series = np.asarray(values, dtype=float)
    if not np.all(np.isfinite(series)):
        return _unclear("a sample is unreadable", len(series), floor)
    start = plateau_start(series)
    plateau = series[start:]
    if len(plateau) < BLOCKS_MIN:
        return _unclear(f"too little evidence: {len(plateau)} samples, {BLOCKS_MIN} are needed", len(series), floor)
    block = block_length(plateau)
    blocks = block_medians(plateau, block)
    plain = _plain(series, start, plateau, block, floor)
    if plain is not None:
        return plain
    if len(plateau) < SAMPLES_MIN or len(blocks) < BLOCKS_MIN:
        return _unclear(
            f"too little evidence: {len(plateau)} samples on the plateau, {SAMPLES_MIN} are needed; "
            f"{len(blocks)} independent blocks of {block}, {BLOCKS_MIN} are needed",
            len(series),
            floor,
        )
    return _decide(series, start, plateau, block, blocks, floor)


def _plain(series: Series, start: int, plateau: Series, block: int, floor: float) -> Trend | None:
    """Return the verdict where it needs no test, however the noise hangs together; None where it does."""
    steps = np.arange(len(plateau), dtype=float)
    slope, offset = (float(x) for x in np.polyfit(steps, plateau, 1))
    span = len(series) - 1
    around = float(np.ptp(plateau - slope * steps - offset))
    halves = [plateau[: len(plateau) // 2], plateau[-(len(plateau) // 2) :]]
    slopes = [float(np.polyfit(steps[: len(half)], half, 1)[0]) for half in halves]
    moved = float(np.ptp(plateau)) * span / max(1, len(plateau) - 1)
    if moved <= floor:
        verdict, reason = Verdict.NO_LEAK, "never moved by more than the floor"
    elif slope * (len(plateau) - 1) >= OBVIOUS * around and slope * span > floor and _alike(slopes):
        verdict, reason = Verdict.LEAK, f"rises {OBVIOUS:g} times as far as it strays from a straight line, or more"
    else:
        return None
    room = around * span / max(1, len(plateau) - 1)
    return Trend(
        verdict=verdict,
        reason=reason,
        samples=len(series),
        plateau_from=start,
        block=block,
        blocks=len(plateau) // block,
        level=float(np.median(plateau)),
        slope=slope,
        growth=slope * span,
        growth_low=slope * span - room,
        growth_high=slope * span + room,
        p_value=0.0 if verdict is Verdict.LEAK else 1.0,
        floor=floor,
    )


def _alike(slopes: list[float]) -> bool:
    return min(slopes) > 0 and min(slopes) >= LIKE_SPEED * max(slopes)


def _decide(series: Series, start: int, plateau: Series, block: int, blocks: Series, floor: float) -> Trend:
    slope, low, high = theil_sen(blocks)
    span = (len(series) - 1) / block
    p_value = rising_p_value(blocks)
    growth, growth_low, growth_high = slope * span, low * span, high * span
    half = len(blocks) // 2
    halves = [blocks[:half], blocks[-half:]]
    half_slopes = [theil_sen(part)[0] for part in halves]
    rising = [rising_p_value(part) < ALPHA_HALF and s > 0 for part, s in zip(halves, half_slopes, strict=True)]
    rises_late = any(up and s * span / 2 > floor for up, s in zip(rising, half_slopes, strict=True))

    if p_value < ALPHA and growth_low > 0 and growth > floor and all(rising) and _alike(half_slopes):
        verdict, reason = Verdict.LEAK, "rises in the whole and in both halves, by more than the floor"
    elif growth_high <= floor and not rises_late:
        verdict, reason = Verdict.NO_LEAK, "growth above the floor is excluded"
    elif rises_late or (p_value < ALPHA and growth > floor):
        verdict, reason = Verdict.UNCLEAR, "rises, but the halves do not agree (a step, or no plateau yet)"
    else:
        verdict, reason = Verdict.UNCLEAR, "too noisy to exclude growth above the floor"
    return Trend(
        verdict=verdict,
        reason=reason,
        samples=len(series),
        plateau_from=start,
        block=block,
        blocks=len(blocks),
        level=float(np.median(plateau)),
        slope=slope / block,
        growth=growth,
        growth_low=growth_low,
        growth_high=growth_high,
        p_value=p_value,
        floor=floor,
    )


def _unclear(reason: str, samples: int, floor: float) -> Trend:
    nan = math.nan
    return Trend(Verdict.UNCLEAR, reason, samples, 0, 0, 0, nan, nan, nan, nan, nan, nan, floor)


def plateau_start(values: Series) -> int:
    """Return where the warm-up ends: MSER-5's cut, at most half of the samples."""
    batches = len(values) // _MSER_BATCH
    if batches < 8:
        return 0
    means = values[: batches * _MSER_BATCH].reshape(batches, _MSER_BATCH).mean(axis=1)
    late = means[batches // 2 :]
    slope = float(np.polyfit(np.arange(len(late)), late, 1)[0])
    means = means - slope * np.arange(batches)
    cuts = np.arange(batches // 2 + 1)
    scores = [float(np.var(means[cut:])) / (batches - cut) for cut in cuts]
    return int(np.argmin(scores)) * _MSER_BATCH


def autocorrelation_time(values: Series) -> float:
    """Return the integrated autocorrelation time, in samples, of what is left beside a straight line; at least 1."""
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
    # The line taken away took correlation with it: for AR(1) about (2 + 4 phi) / n (Tjostheim and Paulsen 1983).
    first = float(correlation[1])
    first = min(0.99, first + (2.0 + 4.0 * first) / n)
    return max(1.0, time, (1.0 + first) / (1.0 - first))


def block_length(values: Series) -> int:
    """Return the samples a block: twice the autocorrelation time (two blocks are then nearly independent)."""
    time = autocorrelation_time(values)
    return 1 if time < 1.3 else math.ceil(2.5 * time)


def block_medians(values: Series, block: int) -> Series:
    """Return the median of each whole block; an incomplete block at the start (the oldest) is dropped."""
    count = len(values) // block
    return np.median(values[len(values) - count * block :].reshape(count, block), axis=1) if count else values[:0]


def theil_sen(values: Series) -> tuple[float, float, float]:
    """Return Theil-Sen's slope a step with the two ends of its CONFIDENCE interval."""
    from scipy.stats import theilslopes  # 1 s to import: only who asks for a verdict pays

    if len(values) < 3:
        return math.nan, -math.inf, math.inf
    result = theilslopes(values, np.arange(len(values)), CONFIDENCE)
    return float(result.slope), float(result.low_slope), float(result.high_slope)


def rising_p_value(values: Series) -> float:
    """Return Kendall's one-sided p (tau-b: ties are counted) against 'does not rise'; 1 for a constant series."""
    from scipy.stats import kendalltau

    if len(values) < 3 or float(np.ptp(values)) == 0.0:
        return 1.0
    return float(kendalltau(np.arange(len(values)), values, alternative="greater").pvalue)


def smallest_leak(planted: Mapping[float, Trend]) -> float | None:
    """Return the smallest planted leak from which on every larger one was found, None when the largest was not.

    `planted` maps a leak (bytes a job, above 0) to the verdict on a run in which that leak was planted.
    """
    found: float | None = None
    for leak in sorted(planted, reverse=True):
        if planted[leak].verdict is not Verdict.LEAK:
            break
        found = leak
    return found
