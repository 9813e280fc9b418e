"""`voxpool-sim calibrate`: measures a real scheduler, simulates the same runs in virtual time, and compares both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk import Client
from voxpool.sim.calibrate.compare import Trio, compare
from voxpool.sim.calibrate.costs import Costs, measure
from voxpool.sim.calibrate.measured import Burst, Measured, burst, measure_run, run_finely
from voxpool.sim.calibrate.plan import FULL, PAIR, QUICK, Size, plan
from voxpool.sim.calibrate.play import predict
from voxpool.sim.calibrate.report import report_of
from voxpool.sim.calibrate.service import running
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.experiments.experiment import SEED
from voxpool.sim.report.command_options import common_with, progress_bar, show, stage_line
from voxpool.sim.report.report import Report
from voxpool.sim.report.written import write_text

COSTS_FILE = "costs.toml"
LOADS_MAX = 9
STORES = "embedded, memory or redis://host:port/db"


@click.command("calibrate")
@click.option("--nodes", type=click.IntRange(1, 50), help="Nodes, a process each.  [2]")
@click.option("--slots", type=click.IntRange(1, 100), help="Slots of each node.  [2]")
@click.option("--work-s", type=click.FloatRange(0.01, 10), help="Mean duration of the work, in seconds.  [0.1]")
@click.option("--loads", help="Loads (offered work divided by slots), such as 0.5,0.9.  [0.5,0.7,0.79]")
@common_with(store="embedded")
def calibrate_command(
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
    """Measure the costs of this machine, and compare the predictions of the simulation with measurements.

    A real scheduler and real nodes get jobs at three loads (4 minutes; --quick: 40 seconds); the same arrivals and
    works are simulated in virtual time, with the measured costs. The costs are written to costs.toml in the folder
    --out, for `voxpool-sim run SCENARIO --costs FILE`. Run nothing else on the machine at the same time.

    At loads below 0.8, means must agree within 10 % and the 99th percentile of the wait within 20 %.
    """
    size = sized(QUICK if quick else FULL, nodes, slots, work_s, loads)
    with progress_bar("calibrate") as tell:
        report, costs = calibrate(
            size,
            seed=SEED if seed is None else seed,
            store=store,
            quick=quick,
            tell=tell,
            enter=stage_line("calibrate"),
        )
    return show(report, write(report, costs, json_path, out))


def calibrate(
    size: Size,
    *,
    seed: int,
    store: str,
    quick: bool = False,
    tell: Callable[[float], None] | None = None,
    enter: Callable[[str], None] = lambda stage: None,
) -> tuple[Report, Costs]:
    """Run the calibration. `tell` receives the completed share (0 to 1), `enter` the name of each stage that begins.

    Raises ConfigError, and ServiceFailed when the scheduler or a node does not start.
    """
    if store not in ("embedded", "memory") and "://" not in store:
        raise ConfigError(f"store {store!r} is not supported: use {STORES}")
    rounds = run_finely(_measure_all(size, seed, store, tell or (lambda part: None), enter))
    enter("the same runs in virtual time")
    trios = [trio for measured, burst_of_round in rounds for trio in predicted(measured, [burst_of_round])]
    costs = measure(
        [found for measured, _ in rounds for found in measured if found.run.is_probe], [b for _, b in rounds]
    )
    options = {"quick": quick, "store": store, **asdict(size)}
    return report_of(compare(trios), costs, seed, options), costs


def predicted(measured: Sequence[Measured], bursts: Sequence[Burst]) -> list[Trio]:
    """Return the runs of a round with their predictions, computed with the costs that the round's probes measured.

    The costs of a machine vary from minute to minute, so each round is predicted with separate costs. Raises
    ConfigError.
    """
    costs = measure([found for found in measured if found.run.is_probe], bursts)
    return [
        Trio(found, predict(costs.applied_to(found.run.scenario)), predict(found.run.scenario))
        for found in measured
        if not found.run.is_probe
    ]


def write(report: Report, costs: Costs, json_path: Path | None, out: Path | None) -> list[Path]:
    """Write the report, and the costs to the folder `out`; return the files written."""
    written = report.write(json_path, out)
    if out is not None:
        written.append(write_text(out / COSTS_FILE, costs.toml()))
    return written


async def _measure_all(
    size: Size, seed: int, store: str, tell: Callable[[float], None], enter: Callable[[str], None]
) -> list[tuple[list[Measured], Burst]]:
    """Run the plan; return the measured runs and the burst of each round."""
    rounds = plan(size, seed)
    settings = rounds[0][0].scenario.settings
    found: list[tuple[list[Measured], Burst]] = []
    over_s = 0.0

    def tell_seconds(seconds: float) -> None:
        tell(min(1.0, (over_s + seconds) / size.seconds))

    async with (
        running(settings, store, size.nodes, size.slots, PAIR) as service,
        Client(service.url, random=plain_random(seed, "calibrate/client")) as client,
    ):
        enter(f"a scheduler and {size.nodes} nodes run; {size.seconds:g} s of load follow")
        await burst(service, client, "warm", size.burst)
        for number, runs in enumerate(rounds):
            measured: list[Measured] = []
            found.append((measured, await burst(service, client, f"burst-{number}", size.burst)))
            for run in runs:
                enter(f"round {number + 1} of {len(rounds)}, {run.name}: {run.scenario.duration_s:g} s")
                measured.append(await measure_run(service, client, run, tell_seconds))
                over_s += run.scenario.duration_s
    return found


def sized(size: Size, nodes: int | None, slots: int | None, work_s: float | None, loads: str | None) -> Size:
    """Return `size` with the options that were given; `loads` is a comma-separated list. Raises ConfigError."""
    given: dict[str, Any] = {"nodes": nodes, "slots": slots, "work_s": work_s}
    if loads is not None:
        given["loads"] = _loads(loads)
    return replace(size, **{name: value for name, value in given.items() if value is not None})


def _loads(text: str) -> tuple[float, ...]:
    try:
        loads = tuple(sorted({float(word) for word in text.split(",")}))
    except ValueError:
        loads = ()
    if not 1 <= len(loads) <= LOADS_MAX or not all(0 < load < 1 for load in loads):
        raise ConfigError(f"--loads {text!r}: must be 1 to {LOADS_MAX} numbers between 0 and 1, such as 0.5,0.7")
    return loads
