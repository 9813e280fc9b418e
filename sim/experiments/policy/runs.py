"""Runs of the experiment `policy`: a policy, a load and a number of jobs give the waits of the jobs.

Both sides use the whole path of production, from the submit to the result; only the variant differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.checkers.allocations_go_to_their_generation import AllocationsGoToTheirGeneration
from voxpool.sim.checkers.every_table_is_empty_at_the_end import EveryTableIsEmptyAtTheEnd
from voxpool.sim.experiments.policy.script import is_script, variant_of_script
from voxpool.sim.experiments.policy.size import PRODUCTION, Size
from voxpool.sim.experiments.policy.without.blind import RULES
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.experiments.theory.question import Starts
from voxpool.sim.report.theory import batch_means, ggc_starts, mm1_relaxation_s, student_interval
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import set_up
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

PATIENT = {"waiting_timeout_s": 1e6, "dispatch_timeout_s": 1e6, "retention_s": 10.0, "cleanup_interval_s": 10.0}
"""No job times out while it waits, and finished jobs are soon removed."""
WARM_AFTER = 5.0
"""Warm-up of a long run in relaxation times of an M/M/1 queue: e^-5 of the effect of the start remains."""
WARMUP_PART_MAX = 0.5
CONFIDENCE = 0.99
SLICES = 50


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a policy at a load over all seeds: waits in seconds from the submit to the start of the work."""

    policy: str
    load: float
    jobs: int
    """Number of jobs whose waits were counted."""
    mean_s: float
    half_s: float
    """Half width of the 99 % interval: over the seeds, or by batch means within one run."""
    p99_s: float
    share_max: float
    """The busiest node's share of the jobs, in percent."""
    wall_s: float
    broken: list[str] = field(default_factory=list)
    means_s: list[float] = field(default_factory=list)
    """The mean of each seed."""
    off_s: float | None = None
    """The largest delay of a start in a long run of production relative to the central queue with the same jobs."""

    @property
    def figures(self) -> dict[str, Any]:
        """The figures for the report's JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def variant_of(policy: str) -> Variant:
    """Return the variant that chooses by `policy`."""
    if is_script(policy):
        return variant_of_script(policy)
    return Variant() if policy == PRODUCTION else RULES[policy].variant()


def checkers_of(policy: str) -> Sequence[type[Checker]]:
    """Return the checkers of `policy`: all, except where a policy of C6 sends without an allocation of the store."""
    if policy == PRODUCTION or is_script(policy):
        return CHECKERS
    return [
        checker for checker in CHECKERS if checker not in (AllocationsGoToTheirGeneration, EveryTableIsEmptyAtTheEnd)
    ]


def from_empty(size: Size, policy: str, load: float, seeds: Sequence[int], store: str, tell: Tell) -> Found:
    """Run `size.jobs` jobs into an empty pool with each of `seeds`; all waits count. Checkers check the first seed."""
    found = []
    for number, seed in enumerate(seeds):

        def tell_part(share: float, begun: int = number) -> None:
            tell((begun + share) / len(seeds))

        found.append(_run(size, policy, load, size.jobs, 0.0, seed, store, number == 0, tell_part))
    if len(found) == 1:
        return found[0]
    means = [one.mean_s for one in found]
    return Found(
        policy, load,
        jobs=sum(one.jobs for one in found),
        mean_s=math.fsum(means) / len(means),
        half_s=student_interval(means, CONFIDENCE).half,
        p99_s=math.fsum(one.p99_s for one in found) / len(found),
        share_max=math.fsum(one.share_max for one in found) / len(found),
        wall_s=sum(one.wall_s for one in found),
        broken=[line for one in found for line in one.broken],
        means_s=means,
    )  # fmt: skip


def long_run(size: Size, policy: str, load: float, seed: int, store: str, tell: Tell) -> Found:
    """Run long enough for a comparison with theory, without warm-up, checkers and trace."""
    jobs = size.jobs_of_long(load)
    lasts_s = jobs / size.rate_per_s(load)
    warmup_s = min(WARM_AFTER * mm1_relaxation_s(load, size.work_s), WARMUP_PART_MAX * lasts_s)
    return _run(size, policy, load, jobs, warmup_s, seed, store, False, tell)


def _run(
    size: Size, policy: str, load: float, jobs: int, warmup_s: float, seed: int, store: str, is_checked: bool,
    tell: Tell,
) -> Found:  # fmt: skip
    watch = Stopwatch()
    rate_per_s = size.rate_per_s(load)
    scenario = Scenario(
        name=f"{policy} at {load:g}",
        duration_s=jobs / rate_per_s,
        settings=dict(PATIENT),
        nodes=[Nodes(count=size.nodes, pairs=["zh:en"])],
        traffic=[Traffic(pair="zh:en", rate_per_s=rate_per_s, work_s=Exponential(size.work_s))],
    )
    world = World(
        seed=seed, settings=scenario.settings, store="memory" if is_script(policy) else store,
        variant=variant_of(policy),
        checkers=checkers_of(policy) if is_checked else (), is_traced=False, warmup_s=warmup_s,
    )  # fmt: skip
    starts = Starts(world) if policy == PRODUCTION and not is_checked else None
    set_up(world, scenario)
    for part in range(1, SLICES + 1):
        world.run_to(scenario.duration_s * part / SLICES)
        tell(part / SLICES)
    broken = world.finish() if is_checked else []
    world.drain()
    world.stop()
    waits_s = np.frombuffer(world.recorder.start_wait_s, dtype=np.float64)
    dispatches = world.recorder.dispatches
    mean = batch_means(waits_s.tolist(), CONFIDENCE)
    return Found(
        policy, load,
        jobs=len(waits_s),
        mean_s=float(waits_s.mean()),
        half_s=mean.half,
        p99_s=float(np.percentile(waits_s, 99)),
        share_max=100.0 * max(dispatches.values()) / sum(dispatches.values()),
        wall_s=watch.seconds(),
        broken=broken,
        means_s=[float(waits_s.mean())],
        off_s=None if starts is None else _off_s(starts, size.nodes),
    )  # fmt: skip


def _off_s(starts: Starts, servers: int) -> float:
    expected = ggc_starts(starts.arrivals_s, starts.works_s, servers)
    return max(abs(start - other) for start, other in zip(starts.starts_s, expected, strict=True))
