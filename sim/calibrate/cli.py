"""The command line of `voxpool-sim calibrate`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from voxpool.sim.report.command_options import common_with, progress_bar, stage_line


@click.command()
@click.option("--nodes", type=click.IntRange(1, 50), help="Nodes, a process each.  [2]")
@click.option("--slots", type=click.IntRange(1, 100), help="Slots of each node.  [2]")
@click.option("--work-s", type=click.FloatRange(0.01, 10), help="Mean of the work, in seconds.  [0.1]")
@click.option("--loads", help="Parts of the slots that the work fills, such as 0.5,0.9.  [0.5,0.7,0.79]")
@common_with(store="embedded")
def calibrate(
    nodes: int | None,
    slots: int | None,
    work_s: float | None,
    loads: str | None,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Measure what this machine costs, and hold what the simulation predicts against what really happens.

    A real scheduler and real nodes get jobs at three loads (4 minutes; --quick: 40 seconds); the same arrivals and
    works are played on virtual time, with the costs that were measured. They are written as a part of a scenario,
    costs.toml in the folder --out, which `voxpool-sim run SCENARIO --costs FILE` takes. Let nothing else run meanwhile.

    Demanded is, at loads below 0.8: means within 10 %, the wait that 1 % exceed within 20 %.
    """
    from rich.console import Console

    from voxpool.sim.calibrate import command, plan
    from voxpool.sim.experiments.experiment import SEED

    size = command.sized(plan.QUICK if quick else plan.FULL, nodes, slots, work_s, loads)
    with progress_bar("calibrate") as tell:
        report, costs = command.calibrate(
            size,
            seed=SEED if seed is None else seed,
            store=store,
            quick=quick,
            tell=tell,
            enter=stage_line("calibrate"),
        )
    command.write(report, costs, json_path, out)
    report.print(Console(width=None if sys.stdout.isatty() else 110))
    return report.exit_code
