"""`voxpool-sim run`: finds a scenario, simulates it, and reports its figures, expectations and checkers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.scheduler.stores.shown import line_to_paste, without_password
from voxpool.sim.experiments.without import variant_without
from voxpool.sim.observing.event_file import EventFile
from voxpool.sim.observing.figures import SHOWN
from voxpool.sim.observing.run_pictures import jobs_picture, memory_picture
from voxpool.sim.observing.timeline import Timeline
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.replay.case import Case, RunDied, keep, run_case
from voxpool.sim.replay.command import again, keep_failing
from voxpool.sim.report.report import WITH, WITHOUT, Line, Report
from voxpool.sim.report.written import replaced
from voxpool.sim.scenario.evidence import missing_evidence_of
from voxpool.sim.scenario.expect import Expectation, figure_at, not_simulated
from voxpool.sim.scenario.scenario import Scenario, load_scenario
from voxpool.sim.world.run import Played
from voxpool.sim.world.stores import STORES
from voxpool.sim.world.world import World

SCENARIOS = Path(__file__).parents[1] / "scenarios"
"""The folder of the scenarios that come with voxpool; `run` accepts their names, too."""
QUICK_PART = 0.1
QUICK_LEAST_S = 60.0


def find_scenario(name: Path) -> Path:
    """Return the file `name`, or the scenario of that name that comes with voxpool. Raises ConfigError."""
    if name.exists():
        return name
    shipped = {path.stem: path for path in sorted(SCENARIOS.glob("*.toml"))}
    if str(name) in shipped:
        return shipped[str(name)]
    raise ConfigError(f"{name}: there is no such file or scenario; {nearest(str(name), shipped)}")


def shortened(scenario: Scenario) -> Scenario:
    """Return `scenario` at a tenth of its length, at least a minute; times of faults are scaled with it."""
    part = min(1.0, max(QUICK_PART, QUICK_LEAST_S / scenario.duration_s))

    def scaled(span: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if span is None else (span[0] * part, span[1] * part)

    return msgspec.structs.replace(
        scenario,
        duration_s=scenario.duration_s * part,
        warmup_s=scenario.warmup_s * part,
        faults=[msgspec.structs.replace(fault, between_s=scaled(fault.between_s)) for fault in scenario.faults],
        traffic=[
            msgspec.structs.replace(
                traffic,
                start_s=traffic.start_s * part,
                end_s=None if traffic.end_s is None else traffic.end_s * part,
            )
            for traffic in scenario.traffic
        ],
    )


def play_file(
    name: Path,
    *,
    seed: int | None,
    quick: bool,
    store: str,
    out: Path | None,
    progress: Callable[[str], Any],
    without: str = "",
    why: Sequence[str] = (),
    costs: Path | None = None,
    events: Path | None = None,
) -> tuple[Report, Sequence[str]]:
    """Simulate a scenario; return its report, and lines to print when it doesn't hold. Raises ConfigError.

    `costs` is a file of costs, as `voxpool-sim calibrate` writes it. `without` is a defect id (docs/defects.md): then
    production runs without the fix of that defect. The lines include the decisions about the jobs in `why`. A run that
    doesn't hold is kept in `out`, or under out/failed. Raises RunDied when the run raised.
    """
    variant_without(without)  # an unknown defect id is reported first
    path = find_scenario(name)
    scenario = load_scenario(path, costs)
    if quick:
        scenario = shortened(scenario)
    seed = scenario.seed if seed is None else seed
    case = Case(scenario, seed, store, without)
    options = {
        "scenario": str(name),
        "seed": seed,
        "store": without_password(store),
        "quick": quick,
        "without": without or "nothing",
    }
    if costs is not None:
        options["costs"] = str(costs)
    seen: list[Timeline] = []

    def timeline(world: World) -> Timeline:
        seen.append(Timeline(world))
        return seen[-1]

    shown = "options: " + ", ".join(f"{key} {value}" for key, value in options.items())
    with ExitStack() as stack:
        trace_file = None
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            trace_file = stack.enter_context(replaced(out / "trace.json"))
        watchers: list[Callable[[World], Watcher]] = [timeline]
        if events is not None:
            event_file = stack.enter_context(replaced(events))
            watchers.append(lambda world: stack.enter_context(EventFile(event_file, world)))
        tell = stack.enter_context(progress(scenario.name))
        found, played = run_case(case, trace_file=trace_file, follow=why, watchers=watchers, progress=tell)
    if played is None:
        raise RunDied("\n".join([*found.details, shown, again(case, keep(case, found, out))]))
    report = report_of(case, played, options)
    report.pictures = [partial(draw, seen[-1]) for draw in (jobs_picture, memory_picture)]
    report.written += [*([out / "trace.json"] if out is not None else []), *([events] if events is not None else [])]
    explained = [line for job_id in why for line in played.world.why.tell(job_id)]
    if report.exit_code == 0:
        return report, explained
    if not found.signs:  # nothing failed, so there is nothing to keep or to shrink
        return report, [*explained, shown, f"again: {_again(case, options)}"]
    kept = keep_failing(case, found, played.run["wall_s"], progress, out)
    return report, [*explained, *played.broken, shown, *kept]


def _again(case: Case, options: dict[str, Any]) -> str:
    """Return the command that repeats the run."""
    words = ["voxpool-sim", "run", options["scenario"], "--seed", str(case.seed)]
    words += ["--costs", options["costs"]] if "costs" in options else []
    words += ["--without", case.without] if case.without else []
    return line_to_paste([*words, *(["--quick"] if options["quick"] else [])], case.store)


def report_of(case: Case, played: Played[Any], options: dict[str, Any]) -> Report:
    """Return the report of one run: expectations, then checkers, then other figures."""
    scenario, run = case.scenario, played.run
    expectations = scenario.expectations
    expected = [_line(expected, run) for expected in expectations if expected.path]
    named = {line.path for line in expectations}
    shown = [Line("", path, unit, None, figure_at(run, path)) for path, unit in SHOWN if path not in named]
    checkers = [
        Line(
            "",
            f"broken: {sentence}",
            "",
            None,
            broken,
            limit="== 0",
            not_checked=run["not_checked"].get(sentence, "") if broken is None else "",
        )
        for sentence, broken in run["checkers"].items()
    ]
    return Report(
        experiment="run",
        question=f"{scenario.name}: do its expectations and the checkers hold?",
        seed=options["seed"],
        options=options,
        lines=[*shown, *expected, *checkers],
        variants={WITHOUT if case.without else WITH: run},
        variant=WITH,
        left_out=case.without,
        unproven=missing_evidence_of(scenario, run),
        notes=[
            f"trace hash {run['trace_hash']} over {run['events']:,} events",
            *not_simulated(expectations),
            *(f"not observed with ends = {scenario.ends!r}: {sentence}" for sentence in played.world.not_observed),
        ],
    )


def _line(expected: Expectation, run: dict[str, Any]) -> Line:
    """Return the figure and its limit, both in the unit of the limit."""
    figure, bound = figure_at(run, expected.path), expected.bound
    value = None if figure is None else bound.in_unit(figure)
    return Line("", expected.name, bound.unit, None, value, limit=bound._replace(unit="").text)


__all__ = ["SCENARIOS", "STORES", "find_scenario", "play_file", "report_of", "shortened"]
