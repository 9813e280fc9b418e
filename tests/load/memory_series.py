"""Series of a scheduler's memory whose truth is known, for the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loadtest.memory._records import MemorySample, MemorySeries

JOB_BYTES = 1000
RETENTION_S = 5.0
Numbers = Callable[[int], float]


def sample(number: int, interval_s: float = 1.0, **fields: Any) -> MemorySample:
    """Return sample `number`, taken just after sweep `number`, of 100 jobs a second; `fields` replace what it says."""
    finished = min(500, 100 * number)
    values: dict[str, Any] = {
        "t_s": number * (interval_s or 1.0) + 0.1,
        "sweep": number + 1 if interval_s else 0,
        "age_s": 0.1 if interval_s else None,
        "jobs_ended": 100 * number,
        "jobs_finished": finished,
        "jobs_unfinished": 10,
        "jobs_bytes": 560 * finished,
        "rss_bytes": 60_000_000,
        "live_bytes": 40_000_000,
        "held_bytes": 45_000_000,
        **fields,
    }
    return MemorySample(**values)


def series(
    sweeps: int = 120,
    interval_s: float = 1.0,
    live: Numbers = lambda number: 0.0,
    held: Numbers = lambda number: 0.0,
    rss: Numbers = lambda number: 0.0,
    fields: Callable[[int], Mapping[str, Any]] = lambda number: {},
    counts: Mapping[str, Numbers] | None = None,
) -> MemorySeries:
    """Return a series of a scheduler in good order, with something on top: bytes and counts by the sample's number."""
    made = MemorySeries(interval_s)
    for number in range(sweeps):
        made.add(
            sample(
                number,
                interval_s,
                live_bytes=round(40e6 + live(number)),
                held_bytes=round(45e6 + held(number)),
                rss_bytes=round(60e6 + held(number) + rss(number)),
                counts={name: round(count(number)) for name, count in (counts or {}).items()},
                **fields(number),
            )
        )
    return made


def noise(size: float, correlation: float = 0.5, seed: int = 1) -> Numbers:
    """Return noise that remembers: AR(1) of standard deviation `size`."""
    chance = np.random.default_rng(seed)
    values = [0.0]
    for shock in chance.standard_normal(2000):
        values.append(correlation * values[-1] + float(shock) * float(np.sqrt(1 - correlation**2)))
    return lambda number: size * values[number + 1]


def added(*parts: Numbers) -> Numbers:
    """Return the sum of `parts`."""
    return lambda number: sum(part(number) for part in parts)


def rising(a_job: float) -> Numbers:
    """Return what grows by so much with each job."""
    return lambda number: a_job * 100 * number


def from_values(values: Sequence[float]) -> Numbers:
    """Return the numbers of a list."""
    return lambda number: float(values[number])
