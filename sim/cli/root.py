"""The command `voxpool-sim`. Heavy imports are inside the commands, so that --help starts quickly.

Exit codes: 0 holds, 1 does not, 2 not enough evidence, 3 wrong input (usage errors, too: one line, no stack trace).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler import __version__
from voxpool.scheduler.cli.exits import EXIT_WRONG_INPUT, run_commands
from voxpool.scheduler.cli.lazy_group import LazyGroup
from voxpool.scheduler.stores.shown import line_to_paste
from voxpool.sim.report.command_options import common, progress_bar, show

if TYPE_CHECKING:
    from voxpool.sim.experiments.experiment import Experiment, Options

EXIT_BROKEN = 1


def main() -> None:
    """Run the command line and exit."""
    run_commands(cli, "voxpool-sim", failed=EXIT_WRONG_INPUT)


COMMANDS = {
    "calibrate": ("voxpool.sim.calibrate.command", "calibrate_command"),
    "diff": ("voxpool.sim.cli.diff", "diff_command"),
    "explore": ("voxpool.sim.explore.command", "explore_command"),
    "instances": ("voxpool.sim.instances.command", "instances_command"),
    "regressions": ("voxpool.sim.cli.regressions", "regressions_command"),
    "replay": ("voxpool.sim.replay.command", "replay_command"),
    "shrink": ("voxpool.sim.replay.command", "shrink_command"),
    "sweep": ("voxpool.sim.cli.sweep", "sweep_command"),
}
"""Name -> module and function of the commands that are defined in other modules."""
HEADINGS = {
    "Scenarios": ("run", "sweep", "list", "scenario"),
    "Sizes and times": ("capacity", "instances", "calibrate"),
    "Overload": ("overload", "share"),
    "Search for failures": ("soak", "explore", "replay", "shrink", "regressions", "diff"),
}


class _Commands(LazyGroup):
    """The commands of this file and of COMMANDS, and one for each experiment; each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_experiments()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        experiment = _experiments().get(cmd_name)
        return None if experiment is None else _command_of(experiment)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from voxpool.scheduler.sentences import nearest

            known = self.list_commands(ctx)
            raise click.UsageError(f"no command {args[0]!r}; {nearest(args[0], known)}", ctx) from None


@click.group(
    cls=_Commands,
    lazy=COMMANDS,
    headings=HEADINGS,
    rest="Experiments",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="voxpool-sim")
def cli() -> None:
    """Runs the scheduler of voxpool in virtual time: any scenario, and the experiments that answer a question."""


@cli.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option(
    "--without", default="", help="Play it with one defect put back: a defect id such as R21 (docs/defects.md)."
)
@click.option(
    "--costs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Costs that `calibrate` wrote, in place of the scenario's.",
)
@click.option("--why", multiple=True, metavar="JOB", help="Print the decisions about this job, such as s1-17.")
@click.option("--events", type=click.Path(path_type=Path, dir_okay=False), help="Write every event there, for `diff`.")
@common
def run(
    scenario: Path,
    without: str,
    costs: Path | None,
    why: tuple[str, ...],
    events: Path | None,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Simulate SCENARIO (a TOML file, or the name of one that comes with voxpool) and check its expectations."""
    from voxpool.sim.cli.play import play_file
    from voxpool.sim.replay.case import RunDied

    try:
        report, lines = play_file(
            scenario,
            seed=seed,
            quick=quick,
            store=store,
            out=out,
            progress=progress_bar,
            without=without,
            why=why,
            costs=costs,
            events=events,
        )
    except RunDied as died:
        say(str(died), err=True)
        return EXIT_BROKEN
    show(report, report.write(json_path, out))
    for line in lines:
        say(line)
    return report.exit_code


@cli.command()
@click.option("--seeds", type=click.IntRange(1), help="Number of seeds to run, from --seed (or 1) on.")
@click.option(
    "--size",
    default="small",
    show_default=True,
    help="small or large: how large the runs of a swarm are; wire: with real clients, nodes and endpoints.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Number of processes.")
@click.option(
    "--on", default="", metavar="ADDRESS", help="Run them on this Dask scheduler, such as tcp://10.0.0.5:8786."
)
@click.option(
    "--table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a Parquet table with a row for each seed; a soak that was killed goes on from there.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="A folder for failing seeds.")
@click.option("--replay", is_flag=True, help="Run each seed again in another process and compare the trace hashes.")
@click.option("--python", default=sys.executable, help="The Python interpreter of --replay; default: this one.")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Without --seeds: number of virtual days (30).")
@common
def soak(
    seeds: int | None,
    size: str,
    jobs: int,
    on: str,
    table: Path | None,
    keep: Path | None,
    replay: bool,
    python: str,
    days: float | None,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Run many seeds, drawing every option of each run from its seed; without --seeds, one run of 30 days.

    Several seeds come after the runs that failed once (see `regressions`); when one of these fails, no seed is run.
    """
    if seeds is None:
        if on or table is not None:
            raise click.UsageError("--on and --table are for several runs: add --seeds N")
        from voxpool.sim.swarm.long_report import soak_days

        report = soak_days(days=days, seed=seed, quick=quick, store=store, progress=progress_bar)
    else:
        from voxpool.sim.sweep.run import Where
        from voxpool.sim.sweep.soak_report import soak_seeds

        report = soak_seeds(
            first=1 if seed is None else seed,
            count=seeds,
            size=size,
            store=store,
            where=Where(jobs, on, table, keep or out),
            replay=replay,
            python=python,
            is_shown=sys.stderr.isatty(),
        )
    return show(report, report.write(json_path, out), soft_wrap=True)


@cli.command()
@click.option("--rate", type=float, default=20.0, show_default=True, help="Jobs a second.")
@click.option("--work", default="exponential:2", show_default=True, help="NAME:MEAN_S[:CV], or empirical:FILE.")
@click.option(
    "--p99", type=float, default=0.5, show_default=True, help="Seconds within which 99 % of the jobs must start."
)
@click.option("--slots", type=int, default=2, show_default=True, help="Jobs that a node runs at the same time.")
@click.option(
    "--costs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plan schedulers and Redis, too, from the costs that `python -m bench.shared_jobs FILE` wrote.",
)
@common
def capacity(
    rate: float,
    work: str,
    p99: float,
    slots: int,
    costs: Path | None,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Find the number of nodes that a rate of jobs needs, so that 99 % of them start within --p99 seconds.

    With --costs nothing is simulated: nodes, schedulers, servers and partitions of Redis are calculated.
    """
    from voxpool.sim.cli.capacity import planned, work_of
    from voxpool.sim.experiments.capacity import question as experiment
    from voxpool.sim.experiments.experiment import SEED

    if costs is not None:
        report = planned(rate, work_of(work), slots, costs)
        return show(report, report.write(json_path, out))
    report = experiment.plan(
        experiment.Demand(rate, work_of(work), p99, slots),
        size=experiment.QUICK if quick else experiment.FULL,
        seed=SEED if seed is None else seed,
        store=store,
        progress=sys.stderr.isatty(),
    )
    return show(report, report.write(json_path, out))


@cli.command()
@click.option(
    "--new",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write; an existing one is kept.",
)
def scenario(file: Path) -> int:
    """Write a template of a scenario, ready to run, in which each key is explained."""
    from voxpool.sim.cli.new_scenario import write_new

    write_new(file)
    say(f"written: {file}; run it with: voxpool-sim run {file}")
    return 0


@cli.command(name="list")
@click.argument("what", type=click.Choice(["scenarios", "faults", "checkers", "experiments"]), required=False)
def list_(what: str | None) -> int:
    """List scenarios, faults, checkers or experiments; without an argument, all of them."""
    from voxpool.sim.cli.listing import listing

    for line in listing(what, _experiments()):
        say(line)
    return 0


def _experiments() -> dict[str, Experiment]:
    """Return the experiments by name."""
    from voxpool.sim.experiments import catalogue

    return catalogue.BY_NAME


def _command_of(experiment: Experiment) -> click.Command:
    """Return the command that runs `experiment`."""

    @click.command(name=experiment.name, help=f"{experiment.question}\n\nRows: {', '.join(experiment.rows)}.")
    @click.option(
        "--variant",
        type=click.Choice(["both", "with", "without"]),
        default="both",
        show_default=True,
        help="The sides to run.",
    )
    @click.option(
        "--without", default="", help="One defect id, such as M1 (docs/defects.md); without it, all of the experiment."
    )
    @common
    def command(
        variant: str,
        without: str,
        seed: int | None,
        json_path: Path | None,
        out: Path | None,
        quick: bool,
        store: str,
        **extra: str | bool | None,
    ) -> int:
        from voxpool.sim.experiments.experiment import SEED, Options

        options = Options(
            seed=SEED if seed is None else seed,
            json=json_path,
            out=out,
            quick=quick,
            store=store,
            variant=variant,  # type: ignore[arg-type]
            without=without,
            progress=sys.stderr.isatty(),
            extra={name: value for name, value in extra.items() if value},
        )
        report = experiment.run(options)
        show(report)
        if report.exit_code:
            say(f"options: {_shown(options)}")
            say(f"again: {_again(experiment.name, options)}")
        return report.exit_code

    for option in reversed(experiment.extras):
        command = click.option(f"--{option.name}", option.name, is_flag=option.is_flag, help=option.help)(command)
    return command


def _shown(options: Options) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.shown(seed=options.seed).items())


def _again(name: str, options: Options) -> str:
    """Return the command that repeats the experiment."""
    words = ["voxpool-sim", name, "--seed", str(options.seed), "--variant", options.variant]
    words += ["--without", options.without] if options.without else []
    for option, value in options.extra.items():
        words += [f"--{option}"] if value is True else [f"--{option}", str(value)]
    return line_to_paste([*words, *(["--quick"] if options.quick else [])], options.store)
