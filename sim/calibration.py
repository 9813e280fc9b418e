"""How often the verdict of stats.py errs: judged on simulated series whose truth is known.

A series is a scheduler's memory as a meter sees it: a warm-up, then a saw-tooth (it grows between two sweeps), noise
that remembers (AR(1), as overlapping retention windows make it), and perhaps a leak. It is read just after each sweep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from leakgate.trend import Series, Verdict, judge
from sim.seeds import generator

READINGS_A_SWEEP = 4
"""Raw readings between two sweeps; the verdict takes one of them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is simulated. Sizes are in standard deviations of the noise."""

    sweeps: int = 1000
    correlation: float = 0.5
    """Of the noise of two neighbouring sweeps; 0 = none, below 1."""
    leak: float = 0.0
    """Growth over the whole series."""
    leak_from: float = 0.0
    """The share of the series after which the leak begins."""
    step: float = 0.0
    """A jump in the middle, such as a table that doubled once."""
    warm_up: float = 0.1
    """The share of the series until the plateau is reached, from nothing."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of the verdicts over `series` series."""

    series: int
    leak: float
    no_leak: float
    unclear: float


def saw_teeth(kind: Kind, seed: int, count: int) -> Iterator[Series]:
    """Yield `count` series of that kind, read just after each sweep; plateau 1000, standard deviation 10."""
    chance = generator(seed, f"calibration/{kind}")
    share = np.arange(kind.sweeps * READINGS_A_SWEEP) / (kind.sweeps * READINGS_A_SWEEP)
    times = np.arange(kind.sweeps * READINGS_A_SWEEP) / READINGS_A_SWEEP
    tooth = 200.0 * (times % 1.0)
    rise = 10.0 * kind.leak * np.maximum(0.0, share - kind.leak_from) / max(1e-9, 1.0 - kind.leak_from)
    jump = 10.0 * kind.step * (share >= 0.5)
    ramp = np.minimum(1.0, share / kind.warm_up) if kind.warm_up else np.ones_like(share)
    for _ in range(count):
        noise = 10.0 * _ar1(chance, kind.sweeps, kind.correlation)
        values = (1000.0 + tooth + np.repeat(noise, READINGS_A_SWEEP)) * ramp + rise + jump
        yield values


def rates(kind: Kind, floor: float, seed: int, count: int) -> Rates:
    """Judge `count` series with `floor` (in standard deviations of the noise) and return the shares of the verdicts."""
    verdicts = Counter(judge(series, 10.0 * floor).verdict for series in saw_teeth(kind, seed, count))
    return Rates(
        series=count,
        leak=verdicts[Verdict.LEAK] / count,
        no_leak=verdicts[Verdict.NO_LEAK] / count,
        unclear=verdicts[Verdict.UNCLEAR] / count,
    )


def _ar1(chance: np.random.Generator, length: int, correlation: float) -> Series:
    """Return an AR(1) series of standard deviation 1, begun in its stationary state."""
    shocks = chance.standard_normal(length)
    shocks[1:] *= np.sqrt(1.0 - correlation**2)
    series = np.empty(length)
    last = 0.0
    for i, shock in enumerate(shocks.tolist()):
        last = correlation * last + shock
        series[i] = last
    return series
