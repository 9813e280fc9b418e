"""Shared parts of the tests of experiments: each scenario is played once; results of two sides can be exchanged."""

from __future__ import annotations

from collections.abc import Mapping

from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.rows import Figures, RowsExperiment, Size

TINY = Size(nodes=6, jobs=60, runs=1, span_s=600.0, leftovers=10, busy_s=2.0, schedules=300, seeds=2)


def played(experiment: RowsExperiment, seed: int = 3) -> dict[str, Figures]:
    """Return the figures of all scenarios at a tiny size, in this process."""
    return {
        f"{scenario.name} {side}": scenario.play(TINY, seed, "memory", side)
        for scenario in experiment.scenarios
        for side in ("without", "with")
    }


def exit_code(experiment: RowsExperiment, row: str, results: Mapping[str, Figures]) -> int:
    """Return the exit code of the report on one row."""
    return experiment.report(Options(), TINY, [row], results).exit_code


def healthy_without(experiment: RowsExperiment, row: str, results: Mapping[str, Figures]) -> dict[str, Figures]:
    """Return `results` with the figures of the other side in place of those without the fix."""
    changed = dict(results)
    for scenario in experiment.chosen([row]):
        changed[f"{scenario.name} without"] = results[f"{scenario.name} with"]
    return changed


def useless_fix(experiment: RowsExperiment, row: str, results: Mapping[str, Figures]) -> dict[str, Figures]:
    """Return `results` with the figures of the other side in place of those with the fix."""
    changed = dict(results)
    for scenario in experiment.chosen([row]):
        changed[f"{scenario.name} with"] = {**results[f"{scenario.name} with"], **results[f"{scenario.name} without"]}
    return changed
