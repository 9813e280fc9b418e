"""The scenario of `race` about R1, the race of the brief, 2.3: a timeout and a node that goes offline, in every order.

One job, two nodes, every draw. With the fix the steps are those of production's code (sim/explore), without it those of
without/timeout_in_steps.py. Shares are of all interleavings, including those that sleep sets skip.
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
    "fine": "completed once, at once",
    "failed": "FAILED although a node is alive",
    "timed_out": "sent to the dying node",
    "parked": "parked, run later",
}
"""Figure -> the outcome in words."""


def outcome_of(end: str) -> str:
    """Return the outcome, one of four, of an end."""
    if " failed " in end:
        return "failed"
    if "timeouts had to come" in end:
        return "timed_out"
    return "parked" if " parked" in end else "fine"


def timeout_meets_offline(stage: Stage) -> Figures:
    """R1: all orders; without the fix also those of the seven plain steps."""
    figures = _search(stage, FLOW, None if stage.has_fix else stage.size.schedules)
    if stage.has_fix:
        return {**figures, "bare_failed": figures["failed"]}
    bare = every_order(SevenSteps, Budget())
    for outcome in OUTCOMES:
        figures[f"bare_{outcome}"] = 100 * bare.ends.get(outcome, 0) / bare.runs
    return {**figures, "bare_orders": bare.runs // DRAWS}


def with_an_arrival_between_hops(stage: Stage) -> Figures:
    """R1: the same with one message arriving between two turns of the event loop, with the fix only."""
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
        "R1: a timeout redispatch and a node going offline",
        "% of the interleavings",
        groups,
        "All orders of the steps and all draws: one job, two nodes, one timeout, one node that goes offline.",
    )


def answer(results: Mapping[str, Figures]) -> Sequence[str]:
    """Return the answer to the brief, 2.3, from the results that were measured."""
    without, with_, hop = (results.get(name, {}) for name in ("R1 without", "R1 with", "R1hop with"))
    sentences = []
    if without:
        sentences.append(
            f"The brief, 2.3: did the race exist? In {without['interleavings']:,} interleavings of the old steps "
            f"{without['failed']:.1f} % lose the job, {without['timed_out']:.2g} % send it to the dying node, "
            f"{without['parked']:.1f} % park it (search complete: {without['is_whole']}; {without['runs']:,} runs)."
        )
    if "bare_orders" in without:
        sentences.append(
            f"The seven plain steps have {without['bare_orders']} orders, {DRAWS} draws each: "
            f"{without['bare_fine']:.1f} % are fine, {without['bare_failed']:.1f} % lose the job, "
            f"{without['bare_timed_out']:.1f} % send it to the dying node, {without['bare_parked']:.1f} % park it. "
            "Shares depend on the other possible events; the four outcomes do not."
        )
    if with_:
        sentences.append(
            f"Is it gone? {with_['once']:g} % of production's {with_['interleavings']:,} interleavings end in exactly "
            f"one completion (search complete: {with_['is_whole']}; {with_['runs']:,} runs)."
        )
    if hop:
        sentences.append(
            f"With one message arriving between two turns of the event loop: {hop['interleavings']:,} interleavings."
        )
    return sentences


def _number(figures: Figures, name: str) -> float | None:
    figure = figures.get(name)
    return float(figure) if isinstance(figure, int | float) else None
