"""Simulated processes whose truth is known: the series on which the judge is measured (leakgate/bench.py).

Each is a server under a steady load, read as a watch reads it: at irregular moments, at any phase of a clean-up that
runs every few seconds, with noise that remembers. The size of the noise was measured on real servers (bench.py says
where). A shape adds what it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leakgate.series import Bound, Reading, Series, Source

Floats = NDArray[np.floating[Any]]
Truth = Literal["healthy", "leak", "native leak", "outside"]
"""outside: this load or these readings can't show it, so that "no leak" is no error of the judge."""
KB, MB = 1e3, 1e6


@dataclass(frozen=True, slots=True)
class Setting:
    """How a process is loaded and read."""

    seconds: float = 360.0
    rate: float = 30.0
    """Units of work a second, Poisson."""
    every_s: float = 0.75
    """Between two readings."""
    interval_s: float = 3.0
    """Between two clean-ups; 0 = none is known to the watch."""
    retention_s: float = 15.0
    lateness: float = 0.0
    """Share of the readings that are late, by up to ten readings: a busy machine."""
    noise_bytes: float = 75 * KB
    """Standard deviation of live bytes beside the saw-tooth, measured; its memory is `noise_memory_s`."""
    noise_memory_s: float = 2.0
    wander_bytes: float = 2 * KB
    """Step of a random walk of live bytes, a square root of a second; measured."""
    kept_bytes: float = 1000.0
    """What a finished unit takes until it is cleaned up."""


@dataclass(slots=True)
class Sizes:
    """What a shape adds to the process, at each reading."""

    live: Floats | float = 0.0
    outside: Floats | float = 0.0
    """In the RSS and in neither allocator."""
    held: Floats | float = 0.0
    counts: dict[str, Floats] = field(default_factory=dict)
    bounds: dict[str, Bound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moments:
    """The readings: when, how much work was finished, and how much of it ended in the last retention."""

    t: Floats
    work: Floats
    setting: Setting
    rng: np.random.Generator

    @property
    def share(self) -> Floats:
        """From 0 at the start of the load to 1 at its end."""
        return self.t / self.setting.seconds


Make = Callable[[Moments], Sizes]


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of process."""

    name: str
    truth: Truth
    make: Make
    text: str


def series_of(shape: Shape, setting: Setting, seed: int) -> tuple[Series, Source]:
    """Return the readings of a run of `shape`, and what the watch knows of it beside them."""
    rng = np.random.default_rng([seed, *shape.name.encode()])
    moments = _moments(setting, rng)
    t, work = moments.t, moments.work
    interval = setting.interval_s or 3.0
    swept = np.floor(t / interval) * interval
    finished_at = np.interp(swept - setting.retention_s, t, work, left=0.0)
    kept = work - finished_at
    in_flight = np.maximum(0, rng.poisson(0.1 * setting.rate, len(t)))
    added = shape.make(moments)
    noise = setting.noise_bytes * _remembering(rng, t, setting.noise_memory_s)
    noise = noise + setting.wander_bytes * np.cumsum(rng.standard_normal(len(t)) * np.sqrt(np.diff(t, prepend=0.0)))
    live = 20 * MB + setting.kept_bytes * kept + 2 * KB * in_flight + noise + added.live
    held = np.maximum.accumulate(live + 3 * MB) + added.held
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
                live_bytes=int(live[place]),
                held_bytes=int(held[place]),
                counts={name: int(values[place]) for name, values in counts.items()},
            )
        )
    retention_s = setting.retention_s if setting.interval_s else 0.0
    return made, Source(
        name=shape.name, interval_s=setting.interval_s, retention_s=retention_s, bounds=dict(added.bounds)
    )


def _moments(setting: Setting, rng: np.random.Generator) -> Moments:
    count = round(setting.seconds / setting.every_s)
    gaps = setting.every_s * rng.uniform(0.8, 1.2, count)
    if setting.lateness:
        gaps *= np.where(rng.random(count) < setting.lateness, rng.uniform(1.0, 10.0, count), 1.0)
    t = np.cumsum(gaps)
    t = t[t < setting.seconds]
    work = np.cumsum(rng.poisson(setting.rate * np.diff(t, prepend=0.0))).astype(float)
    return Moments(t, work, setting, rng)


def _remembering(rng: np.random.Generator, t: Floats, memory_s: float) -> Floats:
    """Return an Ornstein-Uhlenbeck process of standard deviation 1, at the moments `t`."""
    keep = np.exp(-np.diff(t, prepend=0.0) / memory_s)
    shocks = rng.standard_normal(len(t))
    values = np.empty(len(t))
    last = shocks[0]
    for place in range(len(t)):
        last = keep[place] * last + np.sqrt(1 - keep[place] ** 2) * shocks[place]
        values[place] = last
    return values


# ---- what healthy processes do


def _flat(at: Moments) -> Sizes:
    return Sizes()


def _warm_up(at: Moments) -> Sizes:
    return Sizes(live=3 * MB * (1 - np.exp(-at.t / 20.0)))  # over in a minute


def _cache_fills(at: Moments) -> Sizes:
    full = 0.3 * at.work[-1]
    return Sizes(live=250 * np.minimum(at.work, full), counts={"table cache": np.minimum(at.work, full)})


def _hidden_cache_fills(at: Moments) -> Sizes:
    return Sizes(live=1 * KB * np.minimum(at.work, 0.3 * at.work[-1]))


def _declared_cache_fills(at: Moments) -> Sizes:
    full = 0.8 * at.work[-1]
    entries = np.minimum(at.work, full)
    return Sizes(250 * entries, counts={"table cache": entries}, bounds={"table cache": Bound(int(full) + 1, 300.0)})


def _flush(period_s: float, unit_bytes: float) -> Make:
    def make(at: Moments) -> Sizes:
        phase = at.rng.uniform(0, period_s)
        last = np.floor((at.t + phase) / period_s) * period_s - phase
        since = at.work - np.interp(last, at.t, at.work, left=0.0)
        return Sizes(live=unit_bytes * since, counts={"table buffer": since})

    return make


def _off_phase(at: Moments) -> Sizes:
    """A saw-tooth of a period that nearly is that of the readings, so that its phase drifts slowly."""
    period_s = at.setting.every_s * 1.013
    return Sizes(live=600 * KB * ((at.t / period_s) % 1.0))


def _random_walk(step_bytes: float) -> Make:
    """Live bytes wander; `step_bytes` is the standard deviation after a second."""

    def make(at: Moments) -> Sizes:
        steps = at.rng.standard_normal(len(at.t)) * np.sqrt(np.diff(at.t, prepend=0.0))
        return Sizes(live=step_bytes * np.cumsum(steps))

    return make


def _survivors(at: Moments) -> Sizes:
    """Users who come back: each of 1,000 has a record from its first request on."""
    seen = 1000 * (1 - np.exp(-at.work / 1000))
    return Sizes(live=1 * KB * seen, counts={"table users": seen})


def _spike(at: Moments) -> Sizes:
    start = at.rng.uniform(0.3, 0.8) * at.setting.seconds
    return Sizes(live=np.where((at.t > start) & (at.t < start + 10), 5 * MB, 0.0))


def _doubled(at: Moments) -> Sizes:
    """A table that doubles once."""
    return Sizes(live=np.where(at.t > at.rng.uniform(0.2, 0.8) * at.setting.seconds, 1 * MB, 0.0))


def _arenas(at: Moments) -> Sizes:
    """Fragmentation that ends: the allocators keep more for a while."""
    return Sizes(held=10 * MB * (1 - np.exp(-at.t / 30.0)))


def _heavy_noise(at: Moments) -> Sizes:
    return Sizes(live=500 * KB * np.abs(_remembering(at.rng, at.t, 1.0)))


def _few_connections(at: Moments) -> Sizes:
    """Connections that come and go around a mean, over a minute."""
    users = 50 + 8 * _remembering(at.rng, at.t, 30.0)
    return Sizes(live=20 * KB * users, counts={"type Connection": np.maximum(0, users)})


# ---- what leaks


def _leak(live: float = 0.0, count: float = 0.0, outside: float = 0.0, every: float = 1.0) -> Make:
    """Each `every`-th unit of work leaves `live` bytes, `count` entries of a table, `outside` bytes of neither."""

    def make(at: Moments) -> Sizes:
        kept = at.work if every == 1.0 else np.cumsum(at.rng.poisson(np.diff(at.work, prepend=0.0) / every))
        return Sizes(
            live=live * kept,
            outside=np.floor(outside * kept / 262_144) * 262_144,
            counts={"table leaked": count * kept} if count else {},
        )

    return make


def _in_steps(at: Moments) -> Sizes:
    """A block of 1,000 records at a time: what a list that grows does."""
    return Sizes(live=np.floor(at.work / 1000) * 400 * KB)


def _late(at: Moments) -> Sizes:
    """It begins when half of the run is over."""
    return Sizes(live=1 * KB * np.maximum(0.0, at.work - at.work[-1] / 2))


def _in_bursts(at: Moments) -> Sizes:
    """The work of five seconds of each thirty leaks."""
    share = np.interp(at.t % 30, [0, 5, 30], [0, 1, 1])
    return Sizes(live=400.0 * 30 * at.setting.rate * (np.floor(at.t / 30) + share))


def _slows_down(at: Moments) -> Sizes:
    """It grows with the square root of the work: less and less, and never ends."""
    return Sizes(live=60 * KB * np.sqrt(at.work))


def _with_warm_up(at: Moments) -> Sizes:
    return Sizes(live=500 * at.work + 3 * MB * (1 - np.exp(-at.t / 20.0)))


def _with_flush(at: Moments) -> Sizes:
    return Sizes(live=500 * at.work + np.asarray(_flush(40.0, 1 * KB)(at).live))


def _tasks(at: Moments) -> Sizes:
    kept = np.cumsum(at.rng.poisson(np.diff(at.work, prepend=0.0) / 100)).astype(float)
    return Sizes(live=2 * KB * kept, counts={"task handle": kept, "type Task": kept})


def _connections(at: Moments) -> Sizes:
    """Two connections a second come anew, and each leaves an object of 500 bytes."""
    kept = np.floor(2.0 * at.t)
    return Sizes(live=500 * kept, counts={"type Session": kept})


SHAPES: tuple[Shape, ...] = (
    Shape("flat", "healthy", _flat, "nothing grows"),
    Shape("byte warm-up of 60 s", "healthy", _warm_up, "live bytes rise by 3 MB in the first minute"),
    Shape("cache fills", "healthy", _cache_fills, "a table of 250-byte entries fills in 30 % of the run"),
    Shape("hidden cache fills", "healthy", _hidden_cache_fills, "the same with 1 kB, in no table"),
    Shape("declared cache fills", "healthy", _declared_cache_fills, "a table with a declared bound fills in 80 %"),
    Shape("flush every 40 s", "healthy", _flush(40.0, 1 * KB), "a buffer of 1 kB for each unit"),
    Shape("saw-tooth off phase", "healthy", _off_phase, "its period nearly is that of the readings"),
    Shape("random walk", "healthy", _random_walk(8 * KB), "live bytes wander by 150 kB, four times as far as measured"),
    Shape("wild random walk", "healthy", _random_walk(60 * KB), "by 1.1 MB, more than what the limit allows"),
    Shape("bounded survivors", "healthy", _survivors, "a record for each of 1,000 users, once"),
    Shape("spike", "healthy", _spike, "5 MB for 10 s"),
    Shape("doubles once", "healthy", _doubled, "a step of 1 MB"),
    Shape("arenas settle", "healthy", _arenas, "the allocators keep 10 MB more"),
    Shape("heavy noise", "healthy", _heavy_noise, "half a megabyte up and down"),
    Shape("connections vary", "healthy", _few_connections, "fifty, give or take eight"),
    Shape("50 B in a table", "leak", _leak(50, count=1), "an entry for each unit"),
    Shape("200 B in a table", "leak", _leak(200, count=1), "an entry for each unit"),
    Shape("200 B hidden", "leak", _leak(200), "in no table"),
    Shape("500 B hidden", "leak", _leak(500), "in no table"),
    Shape("1,000 B hidden", "leak", _leak(1 * KB), "in no table"),
    Shape("1 % of the work", "leak", _leak(10 * KB, count=1, every=100), "10 kB and an entry each"),
    Shape("1 %, hidden", "leak", _leak(50 * KB, every=100), "50 kB each, in no table"),
    Shape("in steps", "leak", _in_steps, "400 kB for 1,000 units at a time"),
    Shape("late", "leak", _late, "1 kB a unit from the half of the run on"),
    Shape("in bursts", "leak", _in_bursts, "400 B a unit, five seconds of each thirty"),
    Shape("slows down", "leak", _slows_down, "with the square root of the work"),
    Shape("with a warm-up", "leak", _with_warm_up, "500 B a unit beside 3 MB in the first minute"),
    Shape("with a flush", "leak", _with_flush, "500 B a unit beside a buffer flushed every 40 s"),
    Shape("native 6.5 kB", "native leak", _leak(outside=6.5 * KB), "mapped by native code"),
    Shape("tasks", "leak", _tasks, "a task that is never done, for 1 % of the work"),
    Shape("per connection", "leak", _connections, "an object for each of two connections a second"),
)
