"""Simulated processes: readings of a server under a steady load, with realistic noise.

A server is read at irregular times, at any phase of a clean-up that runs every few seconds, and its noise is
correlated. The noise is that of two healthy schedulers under 30 jobs/s: a standard deviation of 75 kB of allocated
bytes with a correlation time of about 2 s, a random walk of at most 2 kB per square root of a second, and 1,000 bytes
for each finished job until it is cleaned up. noise.py measures it from any report. A shape (shapes.py) adds its growth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxpool.leakgate.readings.series import Bound, Reading, Series, Source

Floats = NDArray[np.floating[Any]]
Truth = Literal["healthy", "leak", "native leak", "outside"]
"""outside: undecidable from the run, so that no verdict is an error."""
KB, MB = 1e3, 1e6


@dataclass(frozen=True, slots=True)
class Setting:
    """The load of a process and the schedule of its readings."""

    seconds: float = 360.0
    """Planned duration: "30 % of the run" in a shape refers to it."""
    beyond_s: float = 0.0
    """Additional duration after the planned one."""
    rate: float = 30.0
    """Units of work a second, Poisson."""
    every_s: float = 0.75
    """Time between two readings."""
    interval_s: float = 3.0
    """Time between two clean-ups; 0 = the watch knows of none."""
    retention_s: float = 15.0
    lateness: float = 0.0
    """Share of the readings that are late, by up to ten readings: a busy machine."""
    noise_bytes: float = 75 * KB
    """Standard deviation of allocated bytes without the saw-tooth; its correlation time is `noise_memory_s`."""
    noise_memory_s: float = 2.0
    wander_bytes: float = 2 * KB
    """Step of the random walk of allocated bytes, per square root of a second."""
    kept_bytes: float = 1000.0
    """Bytes of a finished unit until it is cleaned up."""


@dataclass(slots=True)
class Sizes:
    """The sizes and counts that a shape adds at each reading."""

    allocated: Floats | float = 0.0
    outside: Floats | float = 0.0
    """Bytes in the RSS that belong to neither allocator."""
    held: Floats | float = 0.0
    counts: dict[str, Floats] = field(default_factory=dict)
    bounds: dict[str, Bound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moments:
    """The readings: time, finished work, and work that ended within the last retention."""

    t: Floats
    work: Floats
    setting: Setting
    rng: np.random.Generator

    @property
    def planned_work(self) -> float:
        """The finished work at the planned end of the run."""
        return float(np.interp(self.setting.seconds, self.t, self.work))


Make = Callable[[Moments], Sizes]


class Demand(NamedTuple):
    """Limits of the verdicts on a shape, as shares of the runs."""

    leak_max: float = 1.0
    leak_min: float = 0.0
    unclear_max: float = 1.0


NOTHING = Demand()


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of process."""

    name: str
    truth: Truth
    make: Make
    text: str
    demand: Demand = NOTHING
    allocated_bytes: float | None = None
    """True growth of allocated bytes per unit of work; None = not a single number."""
    changes: Mapping[str, float] = field(default_factory=dict)
    """Fields of the setting that differ."""


def series_of(shape: Shape, setting: Setting, seed: int) -> tuple[Series, Source]:
    """Return the readings of a run of `shape`, and its source data."""
    setting = replace(setting, **shape.changes)
    rng = np.random.default_rng([seed, *shape.name.encode()])
    moments = _moments(setting, rng)
    t, work = moments.t, moments.work
    interval = setting.interval_s or 3.0
    swept = np.floor(t / interval) * interval
    finished_at = np.interp(swept - setting.retention_s, t, work, left=0.0)
    kept = work - finished_at
    in_flight = np.maximum(0, rng.poisson(0.1 * setting.rate, len(t)))
    added = shape.make(moments)
    noise = setting.noise_bytes * remembering(rng, t, setting.noise_memory_s)
    noise = noise + setting.wander_bytes * np.cumsum(rng.standard_normal(len(t)) * np.sqrt(np.diff(t, prepend=0.0)))
    allocated = 20 * MB + setting.kept_bytes * kept + 2 * KB * in_flight + noise + added.allocated
    held = np.maximum.accumulate(allocated + 3 * MB) + added.held
    rss = held + 45 * MB + added.outside
    counts = {"table kept": kept, "type Job": kept + in_flight, "threads": np.full(len(t), 4.0), **added.counts}
    made = Series()
    for place in range(len(t)):
        made.add(
            Reading(
                t_s=float(t[place]),
                work=int(work[place]),
                cleanups=int(t[place] // interval) if setting.interval_s else 0,
                age_s=float(t[place] % interval) if setting.interval_s else None,
                kept=int(kept[place]) if setting.interval_s else None,
                in_flight=int(in_flight[place]),
                work_bytes=int(setting.kept_bytes * kept[place]) if setting.interval_s else None,
                load=60.0,
                rss_bytes=int(rss[place]),
                allocated_bytes=int(allocated[place]),
                held_bytes=int(held[place]),
                counts={name: int(values[place]) for name, values in counts.items()},
            )
        )
    retention_s = setting.retention_s if setting.interval_s else 0.0
    return made, Source(
        name=shape.name, interval_s=setting.interval_s, retention_s=retention_s, bounds=dict(added.bounds)
    )


def _moments(setting: Setting, rng: np.random.Generator) -> Moments:
    seconds = setting.seconds + setting.beyond_s
    count = round(seconds / setting.every_s)
    gaps = setting.every_s * rng.uniform(0.8, 1.2, count)
    if setting.lateness:
        gaps *= np.where(rng.random(count) < setting.lateness, rng.uniform(1.0, 10.0, count), 1.0)
    t = np.cumsum(gaps)
    t = t[t < seconds]
    work = np.cumsum(rng.poisson(setting.rate * np.diff(t, prepend=0.0))).astype(float)
    return Moments(t, work, setting, rng)


def remembering(rng: np.random.Generator, t: Floats, memory_s: float) -> Floats:
    """Return an Ornstein-Uhlenbeck process of standard deviation 1 at the times `t`."""
    keep = np.exp(-np.diff(t, prepend=0.0) / memory_s)
    shocks = rng.standard_normal(len(t))
    values = np.empty(len(t))
    last = shocks[0]
    for place in range(len(t)):
        last = keep[place] * last + np.sqrt(1 - keep[place] ** 2) * shocks[place]
        values[place] = last
    return values
