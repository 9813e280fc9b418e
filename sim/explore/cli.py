"""The command line of `voxpool-sim explore`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from voxpool.leakgate.terminal import say
from voxpool.sim.report.command_options import common, progress_bar


@click.command()
@click.argument("flow", required=False)
@click.option("--without", default="", help="Run it without the fix of one row of the catalogue, such as R1.")
@click.option(
    "--departures", type=click.IntRange(0), help="All orders that leave the default one so often at most.  [3]"
)
@click.option("--pct", type=click.IntRange(1), metavar="D", help="Orders by PCT, for bugs of depth D.  [3]")
@click.option("--random", is_flag=True, help="Orders with each step drawn evenly.")
@click.option("--plain", is_flag=True, help="Every interleaving, and again by sleep sets: both have to agree.")
@click.option("--runs", type=click.IntRange(1), help="Orders a search at most; of random ones and PCT: how many.")
@click.option("--seconds", type=click.FloatRange(0), help="Real seconds for all searches; what is cut off is no pass.")
@click.option("--schedule", metavar="LINE", help="Run one order: the line that an exploration printed.")
@click.option("--all", "is_all", is_flag=True, help="Every flow that is few enough to be tried whole, in one report.")
@click.option("--steps", is_flag=True, help="Show for each step its chain and what else was open.")
@common
def explore(
    flow: str | None,
    without: str,
    departures: int | None,
    pct: int | None,
    random: bool,
    plain: bool,
    runs: int | None,
    seconds: float | None,
    schedule: str | None,
    is_all: bool,
    steps: bool,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Try the orders in which the steps of FLOW may happen: all of them where they are few enough.

    A step is a script's commit, its reply, a delivery, a timer, a client's action or a fault. Without FLOW: the flows.
    """
    from rich.console import Console

    from voxpool.scheduler.errors import ConfigError
    from voxpool.sim.explore import command, telling

    flows = command.all_flows()
    if is_all:
        from voxpool.sim.explore.all_flows import explore_all

        report = explore_all(flows, seconds, quick, progress_bar)
        report.print(Console(width=None if sys.stdout.isatty() else 110))
        for written in report.write(json_path, out):
            say(f"written: {written}")
        return report.exit_code
    if flow is None:
        for line in telling.list_of(flows):
            say(line)
        return 0
    if store != "memory":
        raise ConfigError(f"--store {store}: orders are explored on the memory store only")
    found = command.find_flow(flows, flow)
    wanted = command.Wanted(
        flow=flow,
        without=without,
        seed=1 if seed is None else seed,
        departures=departures,
        runs=runs,
        seconds=seconds,
        pct=pct,
        random=random,
        plain=plain,
        quick=quick,
    )
    if schedule is not None:
        run = command.replayed(found, wanted, schedule)
        for line in (*telling.steps_of(run, is_full=steps), *telling.ended(run)):
            say(line)
        return 1 if run.broken else 0
    explored = command.explore(found, wanted, progress_bar)
    report = command.report_of(explored)
    report.print(Console(width=None if sys.stdout.isatty() else 110))
    for line in telling.told(explored, steps):
        say(line)
    for written in report.write(json_path, out):
        say(f"written: {written}")
    return report.exit_code
