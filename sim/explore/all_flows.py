"""`voxpool-sim explore --all`: searches every complete flow in one report.

Flows with few interleavings are searched again without sleep sets; this must reach the same ends, in as many orders as
the runs with sleep sets represent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voxpool.sim.experiments.without import variant_without
from voxpool.sim.explore.kept import play_kept
from voxpool.sim.explore.model.flow import Flow
from voxpool.sim.explore.search.depth_first import every_end, every_order
from voxpool.sim.explore.search.tally import Budget, Tally
from voxpool.sim.replay.case import KEPT
from voxpool.sim.replay.regressions import SHIPPED
from voxpool.sim.report.report import WITH, Line, Report
from voxpool.sim.virtual_time.stopwatch import Stopwatch

SECONDS = 600.0
"""Real seconds on one core for all flows."""
PLAIN_MAX = 300_000
"""Maximum number of interleavings for the plain search."""
PLAIN_MAX_QUICK = 5_000


def explore_all(
    flows: Mapping[str, Flow], seconds: float | None, is_quick: bool, progress: Callable[[str], Any]
) -> Report:
    """Search all complete flows; a search that `seconds` cut off is not complete, and the verdict unclear."""
    limit_s = SECONDS if seconds is None else seconds
    plain_max = PLAIN_MAX_QUICK if is_quick else PLAIN_MAX
    watch = Stopwatch()
    lines: list[Line] = []
    searches: list[dict[str, Any]] = []
    pruned_s = 0.0
    failed_again = [run for run in play_kept(flows, (SHIPPED, KEPT)) if run.signs]
    lines.append(Line("", "kept schedules that fail", "", None, len(failed_again), "== 0"))
    for name, flow in flows.items():
        if not flow.is_complete:
            continue
        make_execution = flow.execution_of(variant_without(""))
        budget = Budget(seconds=max(0.0, limit_s - watch.seconds()))
        with progress(name) as tell:
            pruned = every_end(make_execution, budget, tell)
        pruned_s += pruned.seconds
        lines += _lines(name, pruned)
        plain = None
        if pruned.is_complete and pruned.interleavings <= plain_max:
            budget = Budget(seconds=max(0.0, limit_s - watch.seconds()))
            with progress(f"{name}, plain") as tell:
                plain = every_order(make_execution, budget, tell)
            lines += _compared(name, pruned, plain)
        searches.append(_figures(name, pruned, plain))
    lines.append(Line("", "all flows, by sleep sets", "s", None, round(pruned_s, 1)))
    # Without a limit: a cut off search is not complete, and the last step may end a little after `seconds`.
    lines.append(Line("", "all flows, plain searches too", "s", None, round(watch.seconds(), 1)))
    return Report(
        experiment="explore",
        question="every interleaving of every small flow: does each request end exactly once, and is nothing left?",
        seed=1,
        options={"flow": "all", "seconds": limit_s, "quick": is_quick},
        lines=lines,
        notes=[f"fails again: {run.file}: {run.signs[0]}" for run in failed_again],
        variants={WITH: {"searches": searches, "wall_s": watch.seconds()}},
        variant=WITH,
    )


def _lines(name: str, tally: Tally) -> list[Line]:
    def line(what: str, figure: float | None, limit: str = "") -> Line:
        return Line("", f"{name}: {what}", "", None, figure, limit)

    return [
        line("interleavings", tally.interleavings),
        line("run", tally.runs),
        line("cut short", tally.cut_short),
        line("distinct ends", len(tally.ends)),
        line("broken", tally.broken_runs, "== 0"),
        # An incomplete search is no evidence: without a figure the verdict is unclear.
        line("complete", 1 if tally.is_complete else None, "== 1"),
    ]


def _compared(name: str, pruned: Tally, plain: Tally) -> list[Line]:
    if not plain.is_complete:
        return [Line("", f"{name}: the plain search agrees", "", None, None, "== 1")]
    return [
        Line("", f"{name}: interleavings by the plain search", "", None, plain.runs),
        Line("", f"{name}: the plain search agrees", "", None, int(plain.agrees(pruned)), "== 1"),
    ]


def _figures(name: str, pruned: Tally, plain: Tally | None) -> dict[str, Any]:
    return {
        "flow": name,
        "complete": pruned.is_complete,
        "interleavings": pruned.interleavings,
        "runs": pruned.runs,
        "cut_short": pruned.cut_short,
        "steps_max": pruned.steps_max,
        "distinct_ends": len(pruned.ends),
        "broken_runs": pruned.broken_runs,
        "broken": pruned.broken,
        "wall_s": pruned.seconds,
        "plain_runs": None if plain is None else plain.runs,
        "plain_wall_s": None if plain is None else plain.seconds,
    }
