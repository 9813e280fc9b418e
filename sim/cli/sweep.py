"""`voxpool-sim sweep`: a scenario with each seed and each combination of values, and one table of all figures."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click
import msgspec

from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.cli.play import find_scenario, shortened
from voxpool.sim.observing.figures import SHOWN
from voxpool.sim.report.command_options import common, show
from voxpool.sim.report.limits import shown
from voxpool.sim.report.progress import progress_bar
from voxpool.sim.report.report import WITH, Line, Report, Table
from voxpool.sim.swarm.task import CPU_S_MAX, Task
from voxpool.sim.sweep.record import Finished
from voxpool.sim.sweep.run import Where, run_tasks
from voxpool.sim.sweep.values import variations
from voxpool.sim.virtual_time.stopwatch import Stopwatch

NAMED_MAX = 10
"""Maximum number of failing runs that are printed; all are in the table."""
ON_HELP = "Run them on this Dask scheduler, such as tcp://10.0.0.5:8786."
TABLE_HELP = "Write a Parquet table with a row for each run; a run that was killed goes on from there."


@click.command("sweep")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--seeds", type=click.IntRange(1), default=10, show_default=True, help="Number of seeds, from --seed on.")
@click.option("--set", "options", multiple=True, metavar="PATH=V1,V2", help="Values to try: nodes.0.count=2,4,8.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Number of processes.")
@click.option("--on", default="", metavar="ADDRESS", help=ON_HELP)
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False), help=TABLE_HELP)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="A folder for failing runs.")
@click.option(
    "--cpu-s",
    type=click.FloatRange(0, min_open=True),
    default=CPU_S_MAX,
    show_default=True,
    help="Processor time after which a run counts as endless.",
)
@common
def sweep_command(
    scenario: Path,
    seeds: int,
    options: tuple[str, ...],
    jobs: int,
    on: str,
    table: Path | None,
    keep: Path | None,
    cpu_s: float,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Run SCENARIO with many seeds, and with each combination of the values of --set."""
    report = sweep(
        find_scenario(scenario),
        options,
        first=1 if seed is None else seed,
        seeds=seeds,
        store=store,
        quick=quick,
        cpu_s=cpu_s,
        where=Where(jobs, on, table, keep or out),
        is_shown=sys.stderr.isatty(),
    )
    return show(report, report.write(json_path, out))


def sweep(
    path: Path,
    options: Sequence[str],
    *,
    first: int,
    seeds: int,
    where: Where,
    store: str = "memory",
    quick: bool = False,
    cpu_s: float = CPU_S_MAX,
    is_shown: bool = False,
) -> Report:
    """Run the scenario of the file `path` with `seeds` seeds, and each variation of `options`. Raises ConfigError."""
    where.check_store(store)
    watch = Stopwatch()
    tasks: list[Task] = []
    for values, scenario in variations(path, options):
        played = shortened(scenario) if quick else scenario
        for seed in range(first, first + seeds):
            tasks.append(Task(len(tasks), seed, "", store, played, values, cpu_s))
    digest = hashlib.blake2b(msgspec.json.encode(tasks), digest_size=16).hexdigest()
    deciding = {"scenario": str(path), "seed": first, "seeds": seeds, "set": list(options), "quick": quick}
    with progress_bar(f"{len(tasks)} runs", is_shown) as tell:
        finished = run_tasks(tasks, where, {**deciding, "tasks": digest}, tell)
    shown_options = {**deciding, "store": without_password(store), "jobs": where.jobs, "on": where.on or "this machine"}
    return report_of(tasks, finished, shown_options, watch.seconds())


def report_of(tasks: Sequence[Task], finished: Sequence[Finished], options: Mapping[str, Any], wall_s: float) -> Report:
    """Return the report: the failing runs decide; means over the seeds of each variation are for information."""
    failed = [each for each in finished if each.result.failed]
    completed = sum(each.result.completed for each in finished)
    hashes = "".join(each.result.trace_hash for each in finished)
    means = _means(tasks, finished)
    names = [path for path, _ in SHOWN if path != "wall_s"]
    first = tasks[0]
    assert first.scenario is not None
    return Report(
        experiment="sweep",
        question=f"{first.scenario.name}: does it hold with each seed and each value?",
        seed=options["seed"],
        options=options,
        lines=[
            Line("", "runs", "", None, len(finished)),
            Line("", "runs that failed", "", None, len(failed), limit="== 0"),
            Line("", "jobs completed", "", None, completed),
            Line("", "virtual time", "h", None, sum(each.result.virtual_s for each in finished) / 3600),
            Line("", "real time", "s", None, wall_s),
        ],
        variants={
            WITH: {
                "trace_hash": hashlib.blake2b(hashes.encode(), digest_size=16).hexdigest(),
                "wall_s": wall_s,
                "variations": [
                    {**{place: _number(text) for place, text in values.items()}, **figures} for values, figures in means
                ],
            }
        },
        variant=WITH,
        unproven=[] if completed else ["no job completed in any run"],
        notes=[f"seed {each.result.seed}: {each.result.broken[0]}: {each.folder}" for each in failed[:NAMED_MAX]],
        tables=[
            Table(
                f"Means of {options['seeds']} seeds",
                ["figure", *(", ".join(f"{place} {text}" for place, text in values.items()) for values, _ in means)],
                [[name, *(shown(figures[name]) for _, figures in means)] for name in names],
            )
        ],
    )


def _means(tasks: Sequence[Task], finished: Sequence[Finished]) -> list[tuple[dict[str, str], dict[str, float | None]]]:
    """Return the means of the figures over the seeds of each variation."""
    groups: defaultdict[tuple[tuple[str, str], ...], list[Mapping[str, float | None]]] = defaultdict(list)
    for task, each in zip(tasks, finished, strict=True):
        groups[tuple(task.values.items())].append(each.result.figures)
    found = []
    for values, figures in groups.items():
        known = {path: [each[path] for each in figures if each.get(path) is not None] for path, _ in SHOWN}
        found.append(
            (dict(values), {path: mean(map(float, some)) if some else None for path, some in known.items()})  # type: ignore[arg-type]
        )
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
