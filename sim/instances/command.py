"""The command `voxpool-sim instances`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from voxpool.sim.instances.costs import read_costs
from voxpool.sim.instances.production.report import QUICK, Length, instances
from voxpool.sim.report.command_options import show
from voxpool.sim.report.progress import progress_bar

SCHEDULERS_MAX = 8


@click.command("instances")
@click.option(
    "--costs",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The costs that `python -m bench.shared_jobs FILE` wrote.",
)
@click.option(
    "--schedulers",
    type=click.IntRange(1, SCHEDULERS_MAX),
    default=SCHEDULERS_MAX,
    show_default=True,
    help="The most schedulers.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of all random numbers.")
@click.option("--quick", is_flag=True, help="A small size: faster, and weaker evidence.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="A folder for page and charts.")
def instances_command(
    costs: Path, schedulers: int, seed: int, quick: bool, json_path: Path | None, out: Path | None
) -> int:
    """Run 1 to 8 schedulers of production code that share their jobs, at measured costs and with faults of each."""
    options = {"schedulers": schedulers, "seed": seed, "quick": quick, "costs": str(costs)}
    with progress_bar("instances", sys.stderr.isatty()) as tell:
        report = instances(
            schedulers, read_costs(costs), options, length=QUICK if quick else Length(), seed=seed, tell=tell
        )
    return show(report, report.write(json_path, out))
