"""The shapes on which the judge is measured (bench.py): healthy processes and leaks."""

from __future__ import annotations

import numpy as np

from voxpool.leakgate.judging.simulated import KB, MB, Demand, Make, Moments, Shape, Sizes, remembering
from voxpool.leakgate.readings.series import Bound

# ---- healthy processes


def _flat(at: Moments) -> Sizes:
    return Sizes()


def _warm_up(at: Moments) -> Sizes:
    return Sizes(allocated=3 * MB * (1 - np.exp(-at.t / 20.0)))  # over in a minute


def _cache_fills(at: Moments) -> Sizes:
    full = 0.3 * at.planned_work
    return Sizes(allocated=250 * np.minimum(at.work, full), counts={"table cache": np.minimum(at.work, full)})


def _hidden_cache_fills(at: Moments) -> Sizes:
    return Sizes(allocated=1 * KB * np.minimum(at.work, 0.3 * at.planned_work))


def _declared_cache_fills(at: Moments) -> Sizes:
    full = 0.8 * at.planned_work
    entries = np.minimum(at.work, full)
    return Sizes(250 * entries, counts={"table cache": entries}, bounds={"table cache": Bound(int(full) + 1, 300.0)})


def _flush(period_s: float, unit_bytes: float) -> Make:
    def make(at: Moments) -> Sizes:
        phase = at.rng.uniform(0, period_s)
        last = np.floor((at.t + phase) / period_s) * period_s - phase
        since = at.work - np.interp(last, at.t, at.work, left=0.0)
        return Sizes(allocated=unit_bytes * since, counts={"table buffer": since})

    return make


def _off_phase(at: Moments) -> Sizes:
    """A saw-tooth with nearly the period of the readings, so that its phase drifts slowly."""
    period_s = at.setting.every_s * 1.013
    return Sizes(allocated=600 * KB * ((at.t / period_s) % 1.0))


def _random_walk(step_bytes: float) -> Make:
    """Allocated bytes are a random walk; `step_bytes` is the standard deviation after a second."""

    def make(at: Moments) -> Sizes:
        steps = at.rng.standard_normal(len(at.t)) * np.sqrt(np.diff(at.t, prepend=0.0))
        return Sizes(allocated=step_bytes * np.cumsum(steps))

    return make


def _survivors(at: Moments) -> Sizes:
    """Returning users: each of 1,000 has a record from its first request on."""
    seen = 1000 * (1 - np.exp(-at.work / 1000))
    return Sizes(allocated=1 * KB * seen, counts={"table users": seen})


def _spike(at: Moments) -> Sizes:
    start = at.rng.uniform(0.3, 0.8) * at.setting.seconds
    return Sizes(allocated=np.where((at.t > start) & (at.t < start + 10), 5 * MB, 0.0))


def _young(leak: float) -> Make:
    """A process that has just started: its history of the last 310 s fills, a record of 2 kB each second."""

    def make(at: Moments) -> Sizes:
        records = np.minimum(310.0, np.floor(at.t))
        bounds = {"table history": Bound(310, 2.5 * KB)}
        return Sizes(allocated=2 * KB * records + leak * at.work, counts={"table history": records}, bounds=bounds)

    return make


def _doubled(at: Moments) -> Sizes:
    """A table that doubles once."""
    return Sizes(allocated=np.where(at.t > at.rng.uniform(0.2, 0.8) * at.setting.seconds, 1 * MB, 0.0))


def _arenas(at: Moments) -> Sizes:
    """Fragmentation that ends: the allocators keep more for a while."""
    return Sizes(held=10 * MB * (1 - np.exp(-at.t / 30.0)))


def _heavy_noise(at: Moments) -> Sizes:
    return Sizes(allocated=500 * KB * np.abs(remembering(at.rng, at.t, 1.0)))


def _few_connections(at: Moments) -> Sizes:
    """The number of connections varies around a mean, over a minute."""
    users = 50 + 8 * remembering(at.rng, at.t, 30.0)
    return Sizes(allocated=20 * KB * users, counts={"type Connection": np.maximum(0, users)})


# ---- leaks


def _leak(allocated: float = 0.0, count: float = 0.0, outside: float = 0.0, every: float = 1.0) -> Make:
    """Each `every`-th unit of work leaves `allocated` bytes, `count` entries of a table, `outside` bytes of neither."""

    def make(at: Moments) -> Sizes:
        kept = at.work if every == 1.0 else np.cumsum(at.rng.poisson(np.diff(at.work, prepend=0.0) / every))
        return Sizes(
            allocated=allocated * kept,
            outside=np.floor(outside * kept / 262_144) * 262_144,
            counts={"table leaked": count * kept} if count else {},
        )

    return make


def leaking(allocated_bytes: float, healthy: Shape | None = None) -> Shape:
    """Return the shape that does what `healthy` does and leaks `allocated_bytes` a unit of work, in no table."""

    def make(at: Moments) -> Sizes:
        sizes = Sizes() if healthy is None else healthy.make(at)
        sizes.allocated = sizes.allocated + allocated_bytes * at.work
        return sizes

    changes = {} if healthy is None else healthy.changes
    return Shape(
        f"{allocated_bytes:,.0f} B", "leak", make, "in no table", allocated_bytes=allocated_bytes, changes=changes
    )


def _in_steps(at: Moments) -> Sizes:
    """Growth by blocks of 1,000 records, as of a growing list."""
    return Sizes(allocated=np.floor(at.work / 1000) * 400 * KB)


def _late(share: float) -> Make:
    """A leak that begins after `share` of the run."""
    return lambda at: Sizes(allocated=1 * KB * np.maximum(0.0, at.work - share * at.planned_work))


def _never_full(at: Moments) -> Sizes:
    """An undeclared cache that would be full in three hours."""
    return Sizes(allocated=1 * KB * at.work)


def _in_bursts(at: Moments) -> Sizes:
    """A leak in five seconds of each thirty."""
    share = np.interp(at.t % 30, [0, 5, 30], [0, 1, 1])
    return Sizes(allocated=400.0 * 30 * at.setting.rate * (np.floor(at.t / 30) + share))


def _slows_down(at: Moments) -> Sizes:
    """Growth with the square root of the work, which never ends."""
    return Sizes(allocated=60 * KB * np.sqrt(at.work))


def _saturates(at: Moments) -> Sizes:
    """Growth towards 20 MB: at the end of the run it has a third of its speed."""
    return Sizes(allocated=20 * MB * (1 - np.exp(-at.t / at.setting.seconds)))


def _log_buffer(at: Moments) -> Sizes:
    """Bytes appended to one buffer, which grows by an eighth whenever it is full."""
    written = 1 * KB * at.work + 1
    return Sizes(allocated=64 * KB * 1.125 ** np.ceil(np.log(np.maximum(1.0, written / (64 * KB))) / np.log(1.125)))


def _errors(at: Moments) -> Sizes:
    """One unit of fifty fails, and its traceback is kept with all its references."""
    kept = np.cumsum(at.rng.poisson(np.diff(at.work, prepend=0.0) / 50)).astype(float)
    return Sizes(allocated=8 * KB * kept, counts={"type traceback": 3 * kept, "type frame": 3 * kept})


def _with_warm_up(at: Moments) -> Sizes:
    return Sizes(allocated=500 * at.work + 3 * MB * (1 - np.exp(-at.t / 20.0)))


def _with_flush(at: Moments) -> Sizes:
    return Sizes(allocated=500 * at.work + np.asarray(_flush(40.0, 1 * KB)(at).allocated))


def _tasks(at: Moments) -> Sizes:
    kept = np.cumsum(at.rng.poisson(np.diff(at.work, prepend=0.0) / 100)).astype(float)
    return Sizes(allocated=2 * KB * kept, counts={"task handle": kept, "type Task": kept})


def _connections(at: Moments) -> Sizes:
    """Two new connections per second, each of which leaves an object of 500 bytes."""
    kept = np.floor(2.0 * at.t)
    return Sizes(allocated=500 * kept, counts={"type Session": kept})


QUIET = Demand(leak_max=0.01, unclear_max=0.2)
"""Accepted verdicts on a healthy process, at the recommended length."""
NO_ALARM = Demand(leak_max=0.01)
WILD = Demand(leak_max=0.15)
"""The judge is known to err here (docs/memory-watch.md); this detects when it gets worse."""
FOUND = Demand(leak_min=0.95)
BUSY = {"lateness": 0.3}
"""A busy machine: nearly a third of the readings are late, by up to ten readings."""

SHAPES: tuple[Shape, ...] = (
    Shape("flat", "healthy", _flat, "nothing grows", QUIET),
    Shape("flat, busy machine", "healthy", _flat, "a third of the readings is late", QUIET, changes=BUSY),
    Shape(
        "flat, unknown clean-up",
        "healthy",
        _flat,
        "its saw-tooth is not declared",
        QUIET,
        changes={"interval_s": 0.0},
    ),
    Shape("byte warm-up of 60 s", "healthy", _warm_up, "allocated bytes rise by 3 MB in the first minute", QUIET),
    Shape("warm-up, busy machine", "healthy", _warm_up, "the same, readings late", QUIET, changes=BUSY),
    Shape("cache fills", "healthy", _cache_fills, "a table of 250-byte entries fills in 30 % of the run", QUIET),
    Shape("hidden cache fills", "healthy", _hidden_cache_fills, "the same with 1 kB, in no table", QUIET),
    Shape(
        "declared cache fills",
        "healthy",
        _declared_cache_fills,
        "a table with a declared bound fills in 80 %",
        NO_ALARM,
    ),
    Shape("young process", "healthy", _young(0.0), "a declared history of 310 records of 2 kB fills", NO_ALARM),
    Shape("flush every 40 s", "healthy", _flush(40.0, 1 * KB), "a buffer of 1 kB for each unit", QUIET),
    Shape("saw-tooth off phase", "healthy", _off_phase, "its period nearly is that of the readings", QUIET),
    Shape(
        "random walk",
        "healthy",
        _random_walk(8 * KB),
        "allocated bytes vary by 150 kB, four times as far as measured",
        QUIET,
    ),
    Shape("wild random walk", "healthy", _random_walk(60 * KB), "by 1.1 MB, more than the limit allows", WILD),
    Shape("bounded survivors", "healthy", _survivors, "a record for each of 1,000 users, once", QUIET),
    Shape("spike", "healthy", _spike, "5 MB for 10 s", QUIET),
    Shape("doubles once", "healthy", _doubled, "a step of 1 MB", NO_ALARM),
    Shape("arenas settle", "healthy", _arenas, "the allocators keep 10 MB more", QUIET),
    Shape("heavy noise", "healthy", _heavy_noise, "half a megabyte up and down", NO_ALARM),
    Shape("connections vary", "healthy", _few_connections, "fifty, give or take eight", NO_ALARM),
    Shape("50 B in a table", "leak", _leak(50, count=1), "an entry for each unit", FOUND),
    Shape("200 B in a table", "leak", _leak(200, count=1), "an entry for each unit", FOUND),
    Shape("200 B, busy machine", "leak", _leak(200, count=1), "the same, readings late", FOUND, changes=BUSY),
    Shape("100 B hidden", "leak", _leak(100), "in no table: twice the limit", allocated_bytes=100),
    Shape("200 B hidden", "leak", _leak(200), "in no table", FOUND, 200),
    Shape("500 B hidden", "leak", _leak(500), "in no table", FOUND, 500),
    Shape("1,000 B hidden", "leak", _leak(1 * KB), "in no table", FOUND, 1 * KB),
    Shape("1,000 B, busy machine", "leak", _leak(1 * KB), "the same, readings late", FOUND, 1 * KB, BUSY),
    Shape(
        "1,000 B, unknown clean-up",
        "leak",
        _leak(1 * KB),
        "its saw-tooth is not declared",
        FOUND,
        1 * KB,
        {"interval_s": 0.0},
    ),
    Shape("1 % of the work", "leak", _leak(10 * KB, count=1, every=100), "10 kB and an entry each", FOUND),
    Shape("1 %, hidden", "leak", _leak(50 * KB, every=100), "50 kB each, in no table", FOUND, 500),
    Shape("in steps", "leak", _in_steps, "400 kB for 1,000 units at a time", FOUND, 400),
    Shape("in bursts", "leak", _in_bursts, "400 B a unit, five seconds of each thirty", FOUND, 400),
    Shape("log buffer", "leak", _log_buffer, "1 kB a unit in one buffer, which grows by an eighth", FOUND, 1 * KB),
    Shape("late", "leak", _late(0.5), "1 kB a unit from the half of the run on", FOUND),
    Shape("slows down", "leak", _slows_down, "with the square root of the work", FOUND),
    Shape("saturates", "leak", _saturates, "towards 20 MB, which it has not reached", FOUND),
    Shape("with a warm-up", "leak", _with_warm_up, "500 B a unit beside 3 MB in the first minute", FOUND, 500),
    Shape("with a flush", "leak", _with_flush, "500 B a unit beside a buffer flushed every 40 s", FOUND, 500),
    Shape("young and leaking", "leak", _young(500.0), "500 B a unit beside a declared history that fills", FOUND, 500),
    Shape("tasks", "leak", _tasks, "a task that never ends, for 1 % of the work", FOUND),
    Shape("per error", "leak", _errors, "8 kB and its frames for 2 % of the work", FOUND),
    Shape("per connection", "leak", _connections, "an object for each of two connections a second", FOUND),
    Shape("native 6.5 kB", "native leak", _leak(outside=6.5 * KB), "mapped by native code", FOUND),
    Shape("30 B hidden", "outside", _leak(30), "below the limit of 50 B", allocated_bytes=30),
    Shape("begins at the very end", "outside", _late(0.96), "1 kB a unit in the last 4 % of the run"),
    Shape("cache that is not declared", "outside", _never_full, "1 kB a unit, full after the run"),
)
