"""Do finished jobs accumulate, and does clean-up keep memory bounded? (the brief, 1.1)

M1: a day of traffic, once with `cleanup_interval_s` at 0 and once at its default. It reports exact counts; then
allocated bytes at each sweep of a separate, shorter run, judged by leakgate/judging/trend.py, with planted leaks that
show the smallest detectable one; then RSS. M2 and M9 are in forgotten.py and pauses.py.
"""

from __future__ import annotations

from typing import Any

from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.leak import pauses
from voxpool.sim.experiments.leak import report as leak_report
from voxpool.sim.experiments.leak.allocated_bytes import allocated_run
from voxpool.sim.experiments.leak.forgotten import forgotten
from voxpool.sim.experiments.leak.residents import Followed, follow, production_checkers
from voxpool.sim.experiments.leak.size import FULL, QUESTION, QUICK, Size
from voxpool.sim.experiments.processes import Part, Tell, run_parts
from voxpool.sim.report.report import Report
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.variant import Variant

ROWS = {
    "M1": "finished jobs stay in the table for ever",
    "M2": "age counts from creation: a long job is removed as soon as it ends",
    "M9": "clean-up and timeouts read every job each second",
}


def scenario(size: Size) -> Scenario:
    """Return the day of traffic."""
    return Scenario(
        name="leak",
        duration_s=size.duration_s,
        nodes=[Nodes(count=size.nodes, pairs=["zh:en"])],
        traffic=[Traffic(pair="zh:en", rate_per_s=size.rate_per_s, work_s=Exponential(size.work_s))],
    )


def measure(options: Options, rows: list[str]) -> Report:
    """Run the experiment, every part in a separate process."""
    size = QUICK if options.quick else FULL
    results = run_parts(_parts(options, size, rows), options.progress, options.at_once)
    return leak_report.report(options, size, rows, results)


def _parts(options: Options, size: Size, rows: list[str]) -> list[Part]:
    parts: list[Part] = []
    for side in options.sides():
        if "M1" in rows:
            parts.append(Part(f"M1 {side}", day, (size, options.seed, options.store, side)))
    for side in options.sides():
        if "M9" in rows:
            parts.append(Part(f"M9 {side}", tables, (size.tables, size.table_rounds, side)))
    if "M1" in rows:
        for side in options.sides():
            parts.append(Part(f"allocated {side}", allocated_run, (size.allocated, options.seed, side == "with", 0.0)))
        if options.variant != "without":
            for leak in size.planted:
                parts.append(Part(f"planted {leak:g}", allocated_run, (size.allocated, options.seed, True, leak)))
    for side in options.sides():
        if "M2" in rows:
            parts.append(Part(f"M2 {side}", forgotten, (size.asks, options.seed, options.store, side)))
    return parts


def day(size: Size, seed: int, store: str, side: str, tell: Tell) -> Followed:
    """Run the day on one side."""
    settings: dict[str, Any] = {
        "cleanup_interval_s": size.interval_s if side == "with" else 0.0,
        "retention_s": size.retention_s,
        "finished_max": 0,
    }
    variant = Variant(side, settings=settings)
    return follow(scenario(size), seed, store, variant, size.interval_s, production_checkers(variant), tell)


def tables(sizes: tuple[int, ...], rounds: int, side: str, tell: Tell) -> list[pauses.Pauses]:
    """Time the table of one side at each size."""
    fill = pauses.production if side == "with" else pauses.before
    return fill(list(sizes), rounds, tell)


EXPERIMENT = Experiment("leak", QUESTION, ROWS, measure)
