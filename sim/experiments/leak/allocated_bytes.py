"""Measures allocated bytes at each sweep of a short run with a small retention, without records that grow."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxpool.leakgate.errors import Unreadable
from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.scheduler.core.composition import CoreClasses
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.planted.leak import leaking
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.run import set_up
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

NEVER_S = 1e18
READ_AT = 0.02
"""Delay of each reading after a sweep, in intervals."""
TELL_EVERY = 20


@dataclass(frozen=True)
class AllocatedSize:
    """Size of the run: `sweeps` sweeps, `interval_s` apart, at `rate_per_s`."""

    sweeps: int = 400
    interval_s: float = 2.0
    retention_s: float = 10.0
    rate_per_s: float = 256.0
    nodes: int = 100
    work_s: float = 0.3

    @property
    def jobs(self) -> float:
        """Expected number of jobs in the whole run."""
        return self.sweeps * self.interval_s * self.rate_per_s


class AllocatedSeries:
    """One reading per sweep, in bytes; `jobs` is the number of ended jobs by then. Its memory does not grow."""

    def __init__(self, readings: int, unreadable: str = "") -> None:
        self.allocated, self.held, self.rss, self.jobs = (np.zeros(readings) for _ in range(4))
        self.unreadable = unreadable
        """Reason why memory could not be read; the series are empty then."""


def allocated_run(size: AllocatedSize, seed: int, clean_up: bool, leak_bytes: float, tell: Tell) -> AllocatedSeries:
    """Run with clean-up on or off and a planted leak of `leak_bytes` per job (0 = none); return the readings."""
    settings: dict[str, Any] = {
        "cleanup_interval_s": size.interval_s if clean_up else 0.0,
        "retention_s": size.retention_s,
        "finished_max": 0,
    }
    scenario = Scenario(
        name="allocated bytes",
        duration_s=size.sweeps * size.interval_s,
        nodes=[Nodes(count=size.nodes, pairs=["zh:en"])],
        traffic=[Traffic(pair="zh:en", rate_per_s=size.rate_per_s, work_s=size.work_s, arrivals="even")],
    )
    try:
        meter = AllocatedBytes()
    except Unreadable as unreadable:
        return AllocatedSeries(0, str(unreadable))
    world = World(
        seed=seed,
        settings=settings,
        variant=Variant(classes=CoreClasses(job_table=leaking(leak_bytes))),
        checkers=(),
        content=False,
        is_traced=False,
        warmup_s=NEVER_S,  # no waits are recorded: they would grow by 24 bytes a job
    )
    set_up(world, scenario)
    series = AllocatedSeries(size.sweeps - 1)
    gc.collect()
    gc.freeze()  # exclude the objects of the start from the collections before each reading
    try:
        _read_after_sweeps(world, meter, size, series, tell)
    finally:
        gc.unfreeze()
    world.stop()
    return series


def _read_after_sweeps(
    world: World, meter: AllocatedBytes, size: AllocatedSize, series: AllocatedSeries, tell: Tell
) -> None:
    ended = world.recorder.ended
    for sweep in range(1, size.sweeps):
        world.run_to((sweep + READ_AT) * size.interval_s)
        gc.collect()
        memory = meter.read()
        at = sweep - 1
        series.allocated[at], series.held[at], series.rss[at] = memory.allocated, memory.held, memory.rss
        series.jobs[at] = sum(ended.values())
        if sweep % TELL_EVERY == 0:
            tell(sweep / size.sweeps)
