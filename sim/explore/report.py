"""The report of an exploration: every search must be complete, and no interleaving may break a check."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from voxpool.sim.explore.search.outcomes import outcome_picture, outcomes
from voxpool.sim.explore.search.schedule import to_text
from voxpool.sim.explore.search.tally import Tally
from voxpool.sim.explore.search.walks import pct_bound
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report

if TYPE_CHECKING:
    from voxpool.sim.explore.command import Explored

DEPTH = 3
"""The default depth of bugs for PCT."""
ENDS_IN_REPORT = 1_000


def report_of(explored: Explored) -> Report:
    """Return the report: every search must be complete, and no interleaving may break a check."""
    wanted = explored.wanted
    side = WITHOUT if wanted.without else WITH
    lines: list[Line] = []

    def add(name: str, figure: float | None, limit: str = "", unit: str = "") -> None:
        shows = "breaks" if side == WITHOUT and limit else ""
        lines.append(
            Line(wanted.without, name, unit, figure, None, limit, shows)
            if side == WITHOUT
            else Line("", name, unit, None, figure, limit)
        )

    if explored.again:
        add("kept schedules that fail", len(explored.again), "== 0")
    for tally in explored.tallies:
        add(f"{tally.way}: run", tally.runs)
        if tally.interleavings:
            add(f"{tally.way}: interleavings that these stand for", tally.interleavings)
        if tally.cut_short:
            add(f"{tally.way}: cut short", tally.cut_short)
        add(f"{tally.way}: distinct ends", len(tally.ends))
        add(f"{tally.way}: broken", tally.broken_runs, "== 0" if side == WITH else "")
        if side == WITH:
            # An incomplete search is no evidence: without a figure the verdict is unclear.
            add(f"{tally.way}: complete", 1 if tally.is_complete else None, "== 1")
    if side == WITHOUT:
        add("interleavings that break a check", sum(tally.broken_runs for tally in explored.tallies), "== 0")
    if explored.searches_agree is not None:
        add(
            "both searches agree: the same ends, as many orders",
            int(explored.searches_agree),
            "== 1" if side == WITH else "",
        )
    return Report(
        experiment="explore",
        question=f"{explored.flow.name}: {explored.flow.question}",
        seed=wanted.seed,
        options={
            "flow": wanted.flow,
            "without": wanted.without or "nothing",
            "seconds": wanted.limit_s,
            "runs": wanted.runs,
            "departures": wanted.departures,
            "pct": wanted.pct,
            "random": wanted.random,
            "plain": wanted.plain,
            "quick": wanted.quick,
        },
        lines=lines,
        variants={side: {"searches": [_figures(tally) for tally in explored.tallies], **_checkers(explored)}},
        variant=side,
        notes=[
            *(f"fails again: {run.file}: {run.signs[0]}" for run in explored.again),
            *([f"kept: {explored.kept}"] if explored.kept else []),
        ],
        pictures=[partial(_picture, explored)] if explored.tallies else [],
        extra={"first_failing": _failing(explored), "steps": [taken.step.label for taken in explored.default.taken]},
    )


def _picture(explored: Explored) -> Picture:
    """Draw the ends of the complete search of all interleavings, or else of the first search."""
    whole = [tally for tally in explored.tallies if tally.is_complete and not tally.cut_short]
    title = f"{explored.flow.name}: how its interleavings end"
    return outcome_picture(title, (whole or explored.tallies)[0])


def _figures(tally: Tally) -> dict[str, Any]:
    return {
        "way": tally.way,
        "complete": tally.is_complete,
        "runs": tally.runs,
        "interleavings": tally.interleavings or tally.runs,
        "cut_short": tally.cut_short,
        "departures_complete": tally.reached,
        "distinct_ends": len(tally.ends),
        "broken_runs": tally.broken_runs,
        "steps_max": tally.steps_max,
        "wall_s": tally.seconds,
        "runs_per_s": tally.runs_per_s,
        "ends": [row._asdict() for row in outcomes(tally)[:ENDS_IN_REPORT]],
    }


def _checkers(explored: Explored) -> dict[str, Any]:
    broken: dict[str, int] = {}
    for tally in explored.tallies:
        for name, count in tally.broken.items():
            broken[name] = broken.get(name, 0) + count
    figures: dict[str, Any] = {"checkers": broken, "wall_s": sum(tally.seconds for tally in explored.tallies)}
    if explored.sizes is not None:
        depth = DEPTH if explored.wanted.pct is None else explored.wanted.pct
        sizes = explored.sizes
        figures["pct"] = {
            "depth": depth,
            "chains": sizes.chains,
            "steps": sizes.steps,
            "bound": pct_bound(depth, sizes.chains, sizes.steps),
        }
    return figures


def _failing(explored: Explored) -> dict[str, Any] | None:
    if explored.shrunk is None:
        return None
    run = explored.shrunk.run
    return {
        "schedule": to_text(run.schedule),
        "line": explored.line,
        "departures": len(run.schedule),
        "steps": len(run.taken),
        "fewest_departures_proven": explored.shrunk.is_fewest,
        "fewest_steps_proven": explored.shrunk.is_shortest,
        "broken": run.broken,
    }
