"""Do entries of nodes, jobs and sockets remain after these are gone? (defects M4 to M8)

Without: the old designs on a small keyspace in virtual time (without_fix.py). With: production's core and scripts
in the simulated world (with_fix.py), with the same input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from voxpool.scheduler.config import Settings
from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.orphans import with_fix, without_fix
from voxpool.sim.experiments.orphans.size import FULL, QUICK, Figures, Size
from voxpool.sim.experiments.processes import Part, run_parts
from voxpool.sim.report.limits import Figure
from voxpool.sim.report.pictures import Bar, bars
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report

QUESTION = "Do entries of nodes, jobs and sockets remain after these are gone?"
ROWS = {
    "M4": "members leave the set of all node ids only by an explicit goodbye",
    "M5": "pool sets and node-to-pool hashes without an owner",
    "M6": "a binding key per job, whose name stops the sweep",
    "M7": "in-process maps that keep an entry after an abnormal close",
    "M8": "slots reserved with a counter",
}
_PARTS = {"M4": "churn", "M5": "ghosts", "M6": "bindings", "M7": "closes", "M8": "crashes"}


def measure(options: Options, rows: list[str]) -> Report:
    """Run the experiment, each defect and side in a separate process."""
    size = QUICK if options.quick else FULL
    parts = []
    for row in sorted(rows, key=lambda name: name != "M7"):  # the longest first
        for side in reversed(options.sides()):
            call = getattr(with_fix if side == WITH else without_fix, _PARTS[row])
            parts.append(Part(f"{row} {side}", call, (size, options.seed, options.store)))
    return report_of(options, size, rows, run_parts(parts, options.progress, options.at_once))


def report_of(options: Options, size: Size, rows: list[str], results: Mapping[str, Figures]) -> Report:
    """Return the report; `results` has one entry for each "ID side"."""
    lines = [line for row in rows for line in _lines(row, size, results)]
    return Report(
        experiment="orphans",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(**{key: value for key, value in asdict(size).items() if key in _SHOWN}),
        lines=lines,
        variants={side: _run(rows, results, side) for side in options.sides()},
        variant=options.variant,
        notes=[note for row in rows for note in _notes(row, size, results)],
        pictures=[partial(_picture, lines, rows)],
    )


_SHOWN = ("nodes", "lease_s", "after_s", "bindings_s", "bindings_rate_per_s", "closes", "slots", "full_nodes")


def _run(rows: list[str], results: Mapping[str, Figures], side: str) -> dict[str, Any]:
    return {"rows": {row: dict(results[f"{row} {side}"]) for row in rows}}


def _lines(row: str, size: Size, results: Mapping[str, Figures]) -> list[Line]:
    def both(figure: str) -> tuple[Figure, Figure]:
        without, with_ = (results.get(f"{row} {side}", {}).get(figure) for side in (WITHOUT, WITH))
        return without, with_

    nodes = f"== {size.nodes}"
    if row == "M4":
        what = f"node ids left after {size.nodes} nodes fell silent, one lease later"
        return [Line(row, what, "", *both("ids"), "== 0", nodes)]
    if row == "M5":
        return [
            Line(row, "pool members without a living node, no traffic", "", *both("ghosts"), "== 0", nodes),
            Line(row, "other entries without a living owner", "", *both("without_owner"), "== 0", nodes),
        ]
    if row == "M6":
        jobs = round(size.bindings_s * size.bindings_rate_per_s)
        return [
            Line(row, "keys that bind a job to its node, at the end", "", *both("bindings"), "== 0", f"== {jobs}"),
            Line(row, "sweeps that removed none of the due jobs", "%", *both("in_vain"), "== 0", "== 100"),
            Line(row, "errors in a sweep that are not reported", "", *both("unheard"), "== 0", "> 0"),
        ]
    if row == "M7":
        what = f"entries left in maps after {size.closes:,} abnormal closes"
        return [Line(row, what, "", *both("entries"), "== 0", f">= {size.closes}")]
    longest_s = Settings().dispatch_timeout_s + size.lease_s + 2
    full = f"== {size.full_nodes}"
    return [
        Line(row, "nodes that are full and idle an hour later", "", *both("full_and_idle"), "== 0", full),
        Line(row, "slots lost by a crash are free again after", "s", *both("lost_s"), f"<= {longest_s:g}", "breaks"),
    ]


def _notes(row: str, size: Size, results: Mapping[str, Figures]) -> list[str]:
    found = results.get(f"{row} {WITH}")
    if found is None:
        return []
    if row == "M5":
        return [
            f"M5, with: {found['known']} pool members before; half of the nodes were connected here, half belong to a "
            "dead scheduler. Counted one lease and one sweep of the store (one per second) later."
        ]
    if row == "M7":
        where = f" ({found['where']})" if found["where"] else ""
        return [
            f"M7, with: half of the closes are nodes, most during a job ({found['redispatched']} redispatches), half "
            f"are sessions; the entries of every container of the core were counted{where}."
        ]
    if row == "M8":
        return [
            f"M8, with: {found['taken']} slots, which is all of them, were reserved by a scheduler that died before it "
            "sent a job; a reservation expires after dispatch timeout + lease."
        ]
    return []


def _picture(lines: list[Line], rows: list[str]) -> Picture:
    firsts = [next(line for line in lines if line.defect_id == row) for row in rows]
    groups = [
        Bar(f"{line.defect_id}: {_SHORT[line.defect_id]}", _number(line.without), _number(line.with_))
        for line in firsts
    ]
    return bars(
        "left_behind",
        "Entries that remain after nodes, jobs and sockets are gone",
        "entries (logarithmic above 1)",
        groups,
        "One bar per defect: its first line of the table.",
        y_scale="symlog",
    )


def _number(figure: Figure) -> float | None:
    return float(figure) if isinstance(figure, int | float) else None


_SHORT = {"M4": "node ids", "M5": "ghosts", "M6": "binding keys", "M7": "map entries", "M8": "full, idle nodes"}

EXPERIMENT = Experiment("orphans", QUESTION, ROWS, measure)
