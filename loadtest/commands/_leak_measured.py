"""`voxpool-load leak-measured`: loads a real server twice, without and with the clean-up.

The gate judges memory, and the results are compared with a simulation of the same scenario file. Each side is one run
of Locust with a separate scheduler. It ends as soon as its verdict is clear.
"""

from __future__ import annotations

import math
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from voxpool.leakgate.judging.judge import LIMIT_BYTES
from voxpool.leakgate.terminal import say
from voxpool.loadtest.commands._leak_report import Side, report
from voxpool.loadtest.commands._prediction import Readings, predict
from voxpool.loadtest.report._records import LoadReport, read_report
from voxpool.scheduler.errors import ConfigError, VoxpoolError
from voxpool.sim.experiments.processes import Part, run_parts
from voxpool.sim.report.report import WITH, WITHOUT, Report
from voxpool.sim.scenario.scenario import Scenario, load_scenario

FOLDER = Path(__file__).resolve().parents[1]
SCENARIO = FOLDER / "scenarios" / "leak_measured.toml"
SOON = 0.3
"""Largest age of the last clean-up, in intervals, at which a reading counts as "just after a clean-up"."""
USERS = 20
"""Clients that share the rate of the scenario."""
LEAST_S, LEAST_QUICK_S = 120.0, 45.0
"""Minimum seconds of a side, which give the growth per job within one or two per cent; quick, within about five."""
END_S = 90.0
"""Time for a run of Locust to write its report and end, after its duration or a signal."""
SETTINGS: dict[str, dict[str, Any]] = {WITHOUT: {"cleanup_interval_s": 0.0}, WITH: {}}
"""Settings that override those of the scenario."""


class LoadFailed(VoxpoolError):
    """The load could not be run to its end."""


@dataclass(frozen=True)
class Wanted:
    """The size of the measurement. `limit_bytes`: growth per job that counts as none; `least_s`: seconds of a side."""

    out: Path
    scenario: Path = SCENARIO
    store: str = "embedded"
    sides: tuple[str, ...] = (WITHOUT, WITH)
    limit_bytes: float = LIMIT_BYTES
    least_s: float = LEAST_S
    progress: bool = False


def measure(wanted: Wanted) -> Report:
    """Run the sides one after the other, then the predictions; return the report.

    Raises ConfigError for a scenario that can't be used, LoadFailed when a run gave no report or could not start.
    """
    scenario = load_scenario(wanted.scenario)
    settings = scenario.resolved_settings
    if not settings.cleanup_interval_s:
        raise ConfigError(f"{wanted.scenario}: [settings] cleanup_interval_s is 0: both sides would be the same")
    found = {name: _load(wanted, scenario, name) for name in wanted.sides}
    parts = [
        Part(
            f"simulated {name}",
            predict,
            (scenario, SETTINGS[name], _length_s(wanted, name, found[name]), 0.0),
        )
        for name in wanted.sides
    ]
    predicted: dict[str, Readings] = run_parts(parts, wanted.progress)
    sides = [_side(name, found[name], predicted[f"simulated {name}"], scenario) for name in wanted.sides]
    return report(
        sides,
        options={
            "scenario": wanted.scenario.name,
            "store": wanted.store,
            "retention_s": settings.retention_s,
            "cleanup_interval_s": settings.cleanup_interval_s,
            "nodes": sum(group.count for group in scenario.nodes),
            "rate_per_s": sum(traffic.rate_per_s for traffic in scenario.traffic),
            "leak_limit": wanted.limit_bytes,
            "least_s": wanted.least_s,
            "most_s": scenario.duration_s,
            "quick": wanted.least_s < LEAST_S,
        },
        seed=scenario.seed,
        limit=wanted.limit_bytes,
        variant="both" if len(wanted.sides) > 1 else wanted.sides[0],
    )


# ---- the load


def command(wanted: Wanted, scenario: Scenario, side: str) -> list[str]:
    """Return the command line of the load test of one side."""
    settings = {**scenario.settings, **SETTINGS[side]}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    return [
        *(sys.executable, "-m", "locust", "-f", str(FOLDER), "--headless", "--only-summary"),
        *("-u", str(USERS), "-r", str(USERS), "-t", f"{scenario.duration_s:g}s"),
        *("--scenario", str(wanted.scenario), "--with-scheduler", "--store", wanted.store),
        f"--serve-flags={shlex.join(flags)}",  # one word: a separate word that begins with a dash is not a value
        *("--gate", "memory", "--leak-limit", f"{wanted.limit_bytes:g}", "--until-clear", f"{wanted.least_s:g}"),
        *("--out", str(wanted.out / side)),
    ]


def _load(wanted: Wanted, scenario: Scenario, side: str) -> LoadReport:
    """Run the load test of one side and return its report."""
    folder = wanted.out / side
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").unlink(missing_ok=True)
    log = folder / "locust.log"
    say(f"{side} the clean-up: {wanted.least_s:g} to {scenario.duration_s:g} s of load; log: {log}", err=True)
    with log.open("wb") as file, _running(command(wanted, scenario, side), file) as locust:
        try:
            code = locust.wait(scenario.duration_s + END_S)
        except subprocess.TimeoutExpired:
            raise LoadFailed(f"{side}: the load test did not end; its log: {log}") from None
    if not (folder / "report.json").exists():
        raise LoadFailed(f"{side}: the load test wrote no report (exit code {code}): {_last_line(log)}")
    found = read_report(folder)
    if found.memory is None or found.memory.curves is None:
        raise LoadFailed(f"{side}: the load test has read no memory: {found.why}")
    return found


@contextmanager
def _running(words: list[str], log: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a new process group, which ends with the block; SIGTERM is forwarded as Ctrl-C is."""
    process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield process
    finally:
        signal.signal(signal.SIGTERM, before)
        if process.poll() is None:
            process.terminate()  # it writes its report and stops the scheduler that it has started
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "its log is empty"


# ---- results


def _length_s(wanted: Wanted, side: str, found: LoadReport) -> float:
    readings = _readings(found)
    if not len(readings):
        raise LoadFailed(f"{side}: the load test has read no memory; its report: {wanted.out / side}")
    return readings.at_s[-1]


def _side(name: str, found: LoadReport, predicted: Readings, scenario: Scenario) -> Side:
    assert found.memory is not None
    settings = scenario.resolved_settings
    return Side(
        name=name,
        exit_code=found.exit_code,
        finding=found.memory.finding,
        measured=_readings(found),
        predicted=predicted,
        seconds=found.duration_s,
        failures=sum(operation.failures for operation in found.operations),
        generator=tuple(found.generator.reasons) if found.generator.was_limit else (),
        settled_s=settings.retention_s + 2 * settings.cleanup_interval_s,
    )


def _readings(found: LoadReport) -> Readings:
    """Return the readings just after each sweep, without those whose allocators could not be read."""
    memory = found.memory
    readings = Readings()
    if memory is None or memory.curves is None:
        return readings
    curves, soon_s = memory.curves, SOON * memory.source.interval_s
    before_s = math.inf
    for place, age_s in enumerate(curves.age_s):
        allocated, kept = curves.allocated_bytes[place], curves.kept[place]
        is_first = not soon_s or (age_s is not None and age_s < before_s and age_s <= soon_s)
        if is_first and allocated is not None and kept is not None:
            readings.add(curves.t_s[place], allocated, kept, curves.work[place] - curves.work[0])
        before_s = math.inf if age_s is None else age_s
    return readings


@click.command(name="leak-measured")
@click.option("--scenario", type=click.Path(path_type=Path, dir_okay=False), default=SCENARIO, help="A scenario file.")
@click.option(
    "--variant", type=click.Choice(["both", WITH, WITHOUT]), default="both", show_default=True, help="The sides to run."
)
@click.option(
    "--store",
    default="embedded",
    show_default=True,
    help="Store of the scheduler: embedded, memory, redis (started for the run) or redis://…",
)
@click.option(
    "--leak-limit",
    type=click.FloatRange(0, min_open=True),
    default=LIMIT_BYTES,
    show_default=True,
    help="Growth of allocated bytes per job that counts as none.",
)
@click.option(
    "--least",
    type=click.FloatRange(0, min_open=True),
    help=f"Minimum seconds of each side ({LEAST_S:g}); the maximum is duration_s of the scenario.",
)
@click.option("--quick", is_flag=True, help=f"Minimum of {LEAST_QUICK_S:g} seconds.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, too."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out/leak-measured"), show_default=True,
    help="A folder for page, pictures and the reports of the load tests.",
)  # fmt: skip
def leak_measured(
    scenario: Path,
    variant: str,
    store: str,
    leak_limit: float,
    least: float | None,
    quick: bool,
    json_path: Path | None,
    out: Path,
) -> int:
    """Load a real server twice, without and with the clean-up, and compare it with a simulation.

    Exits with 0 when the side without clean-up leaks, the side with it does not, and both agree with the simulation.
    """
    from rich.console import Console

    sides = (WITHOUT, WITH) if variant == "both" else (variant,)
    least_s = least or (LEAST_QUICK_S if quick else LEAST_S)
    found = measure(Wanted(out, scenario, store, sides, leak_limit, least_s, progress=sys.stderr.isatty()))
    found.write(json_path, out)
    found.print(Console(width=None if sys.stdout.isatty() else 110))
    return found.exit_code
