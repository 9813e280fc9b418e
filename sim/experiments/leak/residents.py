"""Counts the entries of the job table and the store over virtual time, at each sweep of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.observing.figures import run_figures
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import set_up, world_of
from voxpool.sim.world.variant import Variant

SWEEP_ROOM = 0.02
"""Delay of a sample after each sweep, in intervals: all samples have the same phase of the saw-tooth."""
TELL_EVERY = 20


@dataclass(frozen=True, slots=True)
class Followed:
    """A finished run, with the resident jobs over time."""

    run: dict[str, Any]
    broken: list[str]
    times_s: list[float] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)
    """Finished jobs in the table at each of `times_s`."""
    families_end: dict[str, int] = field(default_factory=dict)
    """Members of each family of the store at the end."""
    families_max: dict[str, int] = field(default_factory=dict)


def follow(
    scenario: Scenario,
    seed: int,
    store: str,
    variant: Variant,
    interval_s: float,
    checkers: Sequence[type[Checker]],
    tell: Tell,
) -> Followed:
    """Run `scenario` and count just after each multiple of `interval_s`; `tell` receives the completed share."""
    watch = Stopwatch()
    world = world_of(scenario, seed=seed, store=store, variant=variant, checkers=checkers)
    set_up(world, scenario)
    settings, end_s = world.settings, scenario.duration_s
    mean_from_s = settings.retention_s + interval_s
    times_s: list[float] = []
    jobs: list[int] = []
    families_max: dict[str, int] = {}

    def look() -> None:
        times_s.append(world.env.now)
        jobs.append(world.core.table.finished)
        for family, members in world.store.census().items():
            families_max[family] = max(members, families_max.get(family, 0))

    for number in range(1, math.floor(end_s / interval_s - SWEEP_ROOM) + 1):
        at_s = (number + SWEEP_ROOM) * interval_s
        if at_s - interval_s < mean_from_s <= at_s < end_s:
            world.run_to(mean_from_s)
            world.recorder.begin_mean()
        world.run_to(at_s)
        look()
        if number % TELL_EVERY == 0:
            tell(at_s / end_s)
    world.run_to(end_s)
    if mean_from_s < end_s:
        world.recorder.end_mean()
    busy_s = sum(node.busy_s for node in world.nodes)
    world.drain()
    for _ in range(math.ceil(settings.retention_s / interval_s) + 1):
        world.run(for_s=interval_s)
        look()
    world.come_to_rest()
    broken = world.broken_checkers()
    run = run_figures(world, traffic_s=end_s, busy_s=busy_s, wall_s=watch.seconds())
    families_end = world.store.census()
    world.stop()
    return Followed(run, broken, times_s, jobs, families_end, families_max)


def production_checkers(variant: Variant) -> Sequence[type[Checker]]:
    """Return the checkers of a side: all for production, none for a variant with a defect."""
    return CHECKERS if variant.name == "with" else ()
