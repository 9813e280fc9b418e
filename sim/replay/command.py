"""`voxpool-sim replay` and `shrink`: run a kept failing run again, and make it smaller."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_json
from voxpool.scheduler.stores.shown import line_to_paste
from voxpool.sim.observing.job_life import JobLife
from voxpool.sim.replay.case import Case, Found, keep, read_case, run_case, write_case
from voxpool.sim.replay.shrink import RUNS_MAX, SECONDS_MAX, Shrunk, shrink
from voxpool.sim.report.command_options import progress_bar
from voxpool.sim.report.written import replaced, write_text
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.world.stores import OF_THIS_MACHINE
from voxpool.sim.world.world import World

HOLDS, BROKEN, UNCLEAR = 0, 1, 2
Progress = Callable[[str], Any]
AT_ONCE_S = 20.0
"""A failing run that took at most this long is replayed and shrunk at once; others only on request."""


@dataclass(frozen=True)
class Answer:
    """The result of a command: lines to print, exit code, and the same as JSON."""

    lines: list[str]
    exit_code: int
    json: dict[str, Any]


store_option = click.option(
    "--store",
    help="memory, fakeredis, embedded or redis://…; must be given when it ran on a server  [default: as it ran]",
)
json_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there."
)


@click.command("replay")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--shrunk", is_flag=True, help="Run the smaller case that shrink found.")
@click.option("--job", "job_ids", multiple=True, metavar="JOB", help="Draw the life of this job, such as s1-17.")
@store_option
@json_option
def replay_command(
    folder: Path, shrunk: bool, job_ids: tuple[str, ...], store: str | None, json_path: Path | None
) -> int:
    """Run a kept failing run again and write its trace for Perfetto.

    Exit code 0 when it does not fail any more, 1 when it fails as before, 2 when it fails in another way.
    """
    return _print(replay_folder(folder, shrunk=shrunk, job_ids=job_ids, progress=progress_bar, store=store), json_path)


@click.command("shrink")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True, help="Runs to try at most.")
@click.option("--seconds", type=click.FloatRange(0), default=300.0, show_default=True, help="Time to try at most.")
@store_option
@json_option
def shrink_command(folder: Path, runs: int, seconds: float, store: str | None, json_path: Path | None) -> int:
    """Make a kept failing run smaller while it still fails in the same way.

    Exit code 0 when nothing more can be cut, 2 when a bound came first.
    """
    answer = shrink_folder(folder, progress=progress_bar, runs_max=runs, seconds_max=seconds, store=store)
    return _print(answer, json_path)


def _print(answer: Answer, json_path: Path | None) -> int:
    """Print the result of a command, and write it to `json_path` if that is given."""
    for line in answer.lines:
        say(line)
    if json_path is not None:
        json_path.write_text(json.dumps(answer.json, indent=2) + "\n", encoding="utf-8")
        say(f"written: {json_path}")
    return answer.exit_code


def replay_folder(
    folder: Path, *, shrunk: bool, job_ids: tuple[str, ...], progress: Progress, store: str | None = None
) -> Answer:
    """Run the case in `folder` again (or the one it was shrunk to), and write its trace and the lives of `job_ids`.

    Exit code 0 when it doesn't fail any more, 1 when it fails as before, 2 when it fails in another way, or in the same
    way with another trace. `store` replaces the store of the case. Raises ConfigError.
    """
    case = read_case(folder / ("shrunk.json" if shrunk else "case.json"), store)
    before = read_json(folder / "found.json", Found)
    lives: list[JobLife] = []

    def life_of(job_id: str, world: World) -> JobLife:
        lives.append(JobLife(world, job_id))
        return lives[-1]

    watchers = [partial(life_of, job_id) for job_id in job_ids]
    with replaced(folder / "trace.json") as trace_file, progress(f"replay {case.name}") as tell:
        found, played = run_case(case, trace_file=trace_file, follow=job_ids, watchers=watchers, progress=tell)
    lines = [*found.signs, *(found.details if played is None else found.details[:5]), f"written: {folder}/trace.json"]
    for life in lives:
        if played is not None:
            lines += played.world.why.tell(life.job_id)
        picture = life.picture()
        if picture is not None:
            lines.append(f"written: {write_text(folder / f'{picture.name}.svg', picture.svg)}")
    verdict, code = _compared(before, found, shrunk)
    about = {"signs": found.signs, "trace_hash": found.trace_hash, "verdict": verdict, "exit_code": code}
    return Answer([*lines, verdict], code, about)


def _compared(before: Found, found: Found, shrunk: bool) -> tuple[str, int]:
    if not found.signs:
        return f"it does not fail any more (kept by version {before.version})", HOLDS
    if not before.signs or before.signs[0] not in found.signs:
        return f"it fails in another way; before: {', '.join(before.signs[:1]) or 'nothing'}", UNCLEAR
    if shrunk or before.trace_hash == found.trace_hash:
        return f"it fails as before, trace hash {found.trace_hash or 'none: it died'}", BROKEN
    return f"it fails in the same way in another run: trace hash {found.trace_hash}, was {before.trace_hash}", UNCLEAR


def shrink_folder(
    folder: Path,
    *,
    progress: Progress,
    runs_max: int = RUNS_MAX,
    seconds_max: float = SECONDS_MAX,
    store: str | None = None,
) -> Answer:
    """Make the case in `folder` smaller and write it to shrunk.json. Raises ConfigError.

    Exit code 0 when every cut was tried, 2 when a bound came first.
    """
    case, found = read_case(folder / "case.json", store), read_json(folder / "found.json", Found)
    if not found.signs:
        raise ConfigError(f"{folder}/found.json: has no sign of a failure, so there is nothing to shrink")
    with progress(f"shrink {case.name}") as tell:
        smaller = shrink(case, found, runs_max=runs_max, seconds_max=seconds_max, progress=tell)
    write_case(folder / "shrunk.json", smaller.case)
    return Answer(_about(folder, case, smaller), HOLDS if smaller.is_smallest else UNCLEAR, _sizes(case, smaller))


def _about(folder: Path, case: Case, smaller: Shrunk) -> list[str]:
    sizes = _sizes(case, smaller)
    end = (
        "no cut is left that fails in the same way"
        if smaller.is_smallest
        else "a bound was reached: further cuts may be possible"
    )
    return [
        *(f"{name}: {old:g} -> {new:g}" for name, (old, new) in sizes["sizes"].items()),
        f"{smaller.found.signs[0]} still, after {smaller.runs} runs; {end}",
        f"written: {folder}/shrunk.json",
        again(case, folder, "--shrunk"),
    ]


def _sizes(case: Case, smaller: Shrunk) -> dict[str, Any]:
    old, new = _size(case.scenario), _size(smaller.case.scenario)
    return {
        "sign": smaller.found.signs[0],
        "runs": smaller.runs,
        "is_smallest": smaller.is_smallest,
        "sizes": {name: (old[name], new[name]) for name in old},
    }


def _size(scenario: Scenario) -> dict[str, float]:
    return {
        "traffic, s": scenario.duration_s,
        "nodes": sum(nodes.count for nodes in scenario.nodes),
        "streams of jobs": len(scenario.traffic),
        "jobs a second": sum(traffic.rate_per_s for traffic in scenario.traffic),
        "faults": len(scenario.faults),
        "settings": len(scenario.settings),
    }


def keep_failing(case: Case, found: Found, wall_s: float, progress: Progress, folder: Path | None = None) -> list[str]:
    """Keep a failing run; when it is short, with its trace and a smaller case. The last returned line repeats it."""
    folder, store = keep(case, found, folder), case.store
    lines = [f"kept: {folder}", f"written: {folder}/case.json", f"written: {folder}/found.json"]
    if wall_s <= AT_ONCE_S:
        replay_folder(folder, shrunk=False, job_ids=(), progress=progress, store=store)
        lines.append(f"written: {folder}/trace.json")
        lines += shrink_folder(folder, progress=progress, seconds_max=AT_ONCE_S, store=store).lines[:-1]
    return [*dict.fromkeys(lines), again(case, folder)]


def again(case: Case, folder: Path, *flags: str) -> str:
    """Return the command that runs a kept case again."""
    server = "" if case.store in OF_THIS_MACHINE else case.store
    return f"again: {line_to_paste(['voxpool-sim', 'replay', str(folder), *flags], server)}"
