"""The scenario of `race` about R1, the race of the brief's 2.3: a time-out meets a node that goes offline, in every
order.

One job, two nodes, every draw. With production the steps are those of production's code (sim/explore); without the fix
they are those of before/time_out_in_steps.py. Shares are of interleavings, those that sleep sets left out among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voxpool.sim.experiments.race.without.seven_steps import DRAWS, SevenSteps
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.explore.model.flows import COMPLETE
from voxpool.sim.explore.model.steps import execution_of
from voxpool.sim.explore.search.depth_first import every_end, every_order
from voxpool.sim.explore.search.tally import Budget
from voxpool.sim.report.pictures import Bar, bars
from voxpool.sim.report.report import WITH, WITHOUT, Picture

FLOW, HOP_FLOW = "1-timeout-offline", "1-timeout-offline-hop"
OUTCOMES = {
    "fine": "done once, at once",
    "failed": "FAILED though a node lives",
    "timed_out": "sent to the dying node",
    "parked": "parked, run later",
}
"""Figure -> the outcome in words."""


def outcome_of(end: str) -> str:
    """Return which of the four outcomes an end is."""
    if " failed " in end:
        return "failed"
    if "time-outs had to come" in end:
        return "timed_out"
    return "parked" if " parked" in end else "fine"


def time_out_meets_offline(stage: Stage) -> Figures:
    """R1: all orders; without the fix the seven bare steps, too."""
    figures = _search(stage, FLOW, None if stage.has_fix else stage.size.schedules)
    if stage.has_fix:
        return {**figures, "bare_failed": figures["failed"]}
    bare = every_order(SevenSteps, Budget())
    for outcome in OUTCOMES:
        figures[f"bare_{outcome}"] = 100 * bare.ends.get(outcome, 0) / bare.runs
    return {**figures, "bare_orders": bare.runs // DRAWS}


def with_an_arrival_between_hops(stage: Stage) -> Figures:
    """R1: the same with one arrival between two hops of the event loop, with the fix only."""
    return _search(stage, HOP_FLOW, None) if stage.has_fix else {}


def _search(stage: Stage, flow: str, runs: int | None) -> Figures:
    make_execution = execution_of(COMPLETE[flow][1])(stage.variant)
    tally = every_end(make_execution, Budget(runs=runs), stage.tell)
    shares = dict.fromkeys(OUTCOMES, 0)
    once = 0
    for end, interleavings in tally.standing_for.items():
        shares[outcome_of(str(end))] += interleavings
        if str(end).startswith("j1 completed, reported 1x"):
            once += interleavings
    stage.broken += tally.broken if stage.has_fix else ()
    return {
        "interleavings": tally.interleavings,
        "runs": tally.tries,
        "ends": len(tally.ends),
        "is_whole": "yes" if tally.is_complete else "no",
        "once": 100 * once / tally.interleavings,
        **{outcome: 100 * found / tally.interleavings for outcome, found in shares.items()},
    }


def picture(results: Mapping[str, Figures]) -> Picture:
    """Return the outcome table as bars."""
    without, with_ = (results.get(f"R1 {side}", {}) for side in (WITHOUT, WITH))
    groups = [Bar(words, _number(without, outcome), _number(with_, outcome)) for outcome, words in OUTCOMES.items()]
    return bars(
        "race_outcomes",
        "R1: a time-out redispatch meets a node going offline",
        "% of the interleavings",
        groups,
        "All orders of the steps and all draws: one job, two nodes, one time-out, one node that goes offline.",
    )


def answer(results: Mapping[str, Figures]) -> Sequence[str]:
    """Return the answer to the brief's 2.3, as far as it was measured."""
    without, with_, hop = (results.get(name, {}) for name in ("R1 without", "R1 with", "R1hop with"))
    said = []
    if without:
        said.append(
            f"Seed 2.3, did the race exist? In {without['interleavings']:,} interleavings of the old steps "
            f"{without['failed']:.1f} % lose the job, {without['timed_out']:.2g} % send it to the dying node, "
            f"{without['parked']:.1f} % park it (searched whole: {without['is_whole']}; {without['runs']:,} runs)."
        )
    if "bare_orders" in without:
        said.append(
            f"The seven bare steps have {without['bare_orders']} orders, {DRAWS} draws each: "
            f"{without['bare_fine']:.1f} % are fine, {without['bare_failed']:.1f} % lose the job, "
            f"{without['bare_timed_out']:.1f} % send it to the dying node, {without['bare_parked']:.1f} % park it. "
            "Shares depend on what else may happen; the four outcomes do not."
        )
    if with_:
        said.append(
            f"Is it gone? {with_['once']:g} % of production's {with_['interleavings']:,} interleavings end in exactly "
            f"one completion (searched whole: {with_['is_whole']}; {with_['runs']:,} runs)."
        )
    if hop:
        said.append(f"With one arrival between two hops of the event loop: {hop['interleavings']:,} interleavings.")
    return said


def _number(figures: Figures, name: str) -> float | None:
    figure = figures.get(name)
    return float(figure) if isinstance(figure, int | float) else None
