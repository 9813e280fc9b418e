"""Readings of a process whose truth is known, for tests of the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.judge import judge_memory
from voxpool.leakgate.readings.series import Reading, Series, Source

INTERVAL_S, RETENTION_S = 1.0, 5.0
SOURCE = Source(name="made", unit="job", interval_s=INTERVAL_S, retention_s=RETENTION_S)
"""A process that removes every second what was finished more than five seconds ago."""
UNSWEPT = Source(name="made", unit="job")
"""A process without a clean-up."""
Numbers = Callable[[int], float]


def reading(number: int, **fields: Any) -> Reading:
    """Return reading `number` of a healthy process: one a second, 100 jobs a second, each just after a clean-up.

    `fields` replace values of the reading.
    """
    kept = min(500, 100 * number)
    values: dict[str, Any] = {
        "t_s": number + 0.1,
        "work": 100 * number,
        "cleanups": number + 1,
        "age_s": 0.1,
        "kept": kept,
        "in_flight": 10,
        "work_bytes": 560 * kept,
        "rss_bytes": 60_000_000,
        "allocated_bytes": 40_000_000,
        "held_bytes": 45_000_000,
        **fields,
    }
    return Reading(**values)


def series(
    readings: int = 120,
    allocated: Numbers = lambda number: 0.0,
    held: Numbers = lambda number: 0.0,
    rss: Numbers = lambda number: 0.0,
    fields: Callable[[int], Mapping[str, Any]] = lambda number: {},
    counts: Mapping[str, Numbers] | None = None,
) -> Series:
    """Return a series of a healthy process with additional bytes and counts by the reading's number."""
    made = Series()
    for number in range(readings):
        values: dict[str, Any] = {
            "allocated_bytes": round(40e6 + allocated(number)),
            "held_bytes": round(45e6 + held(number)),
            "rss_bytes": round(60e6 + held(number) + rss(number)),
            "counts": {name: round(count(number)) for name, count in (counts or {}).items()},
        }
        made.add(reading(number, **{**values, **fields(number)}))
    return made


def noise(size: float, correlation: float = 0.5, seed: int = 1) -> Numbers:
    """Return autocorrelated noise: AR(1) of standard deviation `size`."""
    chance = np.random.default_rng(seed)
    values = [0.0]
    for shock in chance.standard_normal(2000):
        values.append(correlation * values[-1] + float(shock) * float(np.sqrt(1 - correlation**2)))
    return lambda number: size * values[number + 1]


def added(*parts: Numbers) -> Numbers:
    """Return the sum of `parts`."""
    return lambda number: sum(part(number) for part in parts)


def rising(a_job: float) -> Numbers:
    """Return a term that grows by `a_job` with each job."""
    return lambda number: a_job * 100 * number


def judged(made: Series, limit_bytes: float = 50.0, source: Source = SOURCE, **options: Any) -> MemoryFinding:
    """Return the finding on `made`."""
    return judge_memory(made, source, limit_bytes, **options)
