"""Runs the long soak and reads, at the same phase of the sweeps, the sizes that must stay bounded."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voxpool.leakgate.errors import Unreadable
from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.sim.observing.census import entries
from voxpool.sim.observing.figures import run_figures
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.swarm.coverage import Coverage, Reached
from voxpool.sim.swarm.long_bounds import BOUNDED, bounds_now
from voxpool.sim.swarm.long_generated import LongSize
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import set_up, world_of
from voxpool.sim.world.world import World

NEVER_S = 1e18
"""A warm-up that never ends: no waits are recorded, because these figures would grow with the run."""
READ_AT = 0.02
"""Delay of each reading after a sweep, in intervals between sweeps."""
SLICE_S = 600.0
"""Virtual time between two progress reports."""


@dataclass(frozen=True, slots=True)
class LongRun:
    """A finished long soak. `series` has the readings by name at each of `times_s`; `bounds` the upper bounds of some
    of them.
    """

    run: dict[str, Any]
    broken: list[str]
    times_s: array[float]
    series: dict[str, array[float]]
    bounds: dict[str, array[float]]
    faults: dict[str, int]
    reached: Reached
    unreadable: str
    """Reason why allocated bytes could not be read; '' = they were."""


class Readings:
    """Reads a world into preallocated arrays, which don't grow with the run."""

    def __init__(self, world: World, readings: int) -> None:
        self.times_s = array("d", [0.0]) * readings
        self.series: dict[str, array[float]] = {}
        self.bounds = {name: array("d", [0.0]) * readings for name in BOUNDED}
        self.taken = 0
        self.unreadable = ""
        self._world = world
        self._readings = readings
        try:
            self._allocated: AllocatedBytes | None = AllocatedBytes(collect=True)
        except Unreadable as error:
            self._allocated, self.unreadable = None, str(error)
        for name in self.read():
            self.series[name] = array("d", [0.0]) * readings

    def take(self) -> None:
        """Record one reading."""
        if self.taken < self._readings:
            self.times_s[self.taken] = self._world.env.now
            for name, value in self.read().items():
                self.series[name][self.taken] = value
            for name, bound in bounds_now(self._world).items():
                self.bounds[name][self.taken] = bound
            self.taken += 1

    def read(self) -> dict[str, float]:
        """Return the sizes that must stay bounded."""
        world = self._world
        core, mirror, clients = world.core, world.mirror, world.clients
        census = entries(core)

        def held(prefix: str, but: str = "") -> int:
            return sum(n for name, n in census.items() if name.startswith(prefix) and not (but and but in name))

        figures: dict[str, float] = {
            "jobs in the table": len(core.table),
            "jobs by request id": held("table._by_request"),
            "jobs waiting": held("waiting."),
            "entries in the queue of scripts": held("queue."),
            "deadlines of jobs": len(core.timeouts.deadlines),
            "deadlines of nodes": len(core.leases.deadlines),
            "sessions remembered": len(core.dispatcher.affinity),
            "connected nodes": len(core.node_registry),
            "reservations of nodes": held("node_registry.nodes.reservations") + held("node_registry.nodes.missing"),
            **{f"store: {family}": count for family, count in world.store.census().items()},
            "mirror: nodes": len(mirror.nodes),
            "mirror: reservations": len(mirror.reservations),
            "mirror: kinds of nodes": len(mirror.room),
            "clients that wait": len(clients.open),
            "clients of jobs": len(clients.by_job),
            "events of the loop": world.loop.pending,
        }
        if self._allocated is not None:
            figures["allocated bytes"] = self._allocated.read().allocated
        return figures


def long_run(scenario: Scenario, size: LongSize, store: str, tell: Callable[[float], None] | None) -> LongRun:
    """Run `scenario`; `tell` is called with the completed share."""
    watch = Stopwatch()
    world = world_of(scenario, store=store, warmup_s=NEVER_S)
    coverage = Coverage(world)
    world.hub.add([coverage])
    try:
        set_up(world, scenario)
        interval_s = world.settings.cleanup_interval_s
        step_s = max(1, round(size.sample_s / interval_s)) * interval_s
        readings = Readings(world, int(scenario.duration_s / step_s))
        for number in range(1, int(scenario.duration_s / step_s) + 1):
            at_s = number * step_s + READ_AT * interval_s
            _run_to(world, at_s, scenario.duration_s, tell)
            readings.take()
        world.run_to(scenario.duration_s)
        busy_s = sum(node.busy_s for node in world.nodes)
        world.come_to_rest()
        broken = world.broken_checkers()
        run = run_figures(world, traffic_s=scenario.duration_s, busy_s=busy_s, wall_s=watch.seconds())
        world.stop()
    except BaseException:
        world.close()
        raise
    taken = readings.taken
    return LongRun(
        run,
        broken,
        readings.times_s[:taken],
        {name: values[:taken] for name, values in readings.series.items()},
        {name: values[:taken] for name, values in readings.bounds.items()},
        dict(coverage.reached["faults"]),
        coverage.reached,
        readings.unreadable,
    )


def _run_to(world: World, at_s: float, end_s: float, tell: Callable[[float], None] | None) -> None:
    while world.env.now + SLICE_S < at_s:
        world.run_to(world.env.now + SLICE_S)
        if tell is not None:
            tell(world.env.now / end_s)
    world.run_to(min(at_s, end_s))


def maxima(series: Mapping[str, array[float]]) -> dict[str, float]:
    """Return the greatest reading of each series."""
    return {name: max(values, default=0.0) for name, values in series.items()}
