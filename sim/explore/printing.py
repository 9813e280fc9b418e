"""The output of `voxpool-sim explore` in addition to its table: steps, outcomes, the failing schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from voxpool.sim.explore.model.flow import Flow
from voxpool.sim.explore.model.running import Run
from voxpool.sim.explore.search.outcomes import outcomes
from voxpool.sim.explore.search.tally import Tally

if TYPE_CHECKING:
    from voxpool.sim.explore.command import Explored

ENDS_SHOWN = 20
OPEN_SHOWN = 8


def list_of(flows: Mapping[str, Flow]) -> Iterator[str]:
    """Yield a line for each flow."""
    yield "flows (voxpool-sim explore FLOW):"
    width = max((len(name) for name in flows), default=0)
    for name, flow in flows.items():
        yield f"  {name:{width}}  {flow.question}{'' if flow.is_complete else ' (too large for all orders)'}"


def steps_of(run: Run, is_full: bool = False) -> Iterator[str]:
    """Yield the steps of `run`; with `is_full` also the other open steps. A departure is marked by >."""
    for at, (step, steps) in enumerate(run.taken):
        mark = " " if step == steps[0] else ">"
        others = [other.label for other in steps if other != step]
        shown = "; ".join(others[:OPEN_SHOWN]) + ("; …" if len(others) > OPEN_SHOWN else "")
        yield f" {mark}{at:3}  {step.label}" + (
            f"   [{step.chain}]   open: {shown or 'nothing else'}" if is_full else ""
        )


def ended(run: Run) -> Iterator[str]:
    """Yield how `run` ended."""
    yield f"end: {run.end}"
    for line in run.broken:
        yield f"broken: {line}"


def after_the_table(explored: Explored, is_full: bool) -> Iterator[str]:
    """Yield the lines after the table."""
    yield f"steps of the default order of {explored.flow.name}:"
    yield from steps_of(explored.default, is_full)
    for tally in explored.tallies:
        yield from _of_one_search(tally)
    shrunk = explored.shrunk
    if shrunk is None:
        return
    run = shrunk.run
    proven = "fewest departures proven" if shrunk.is_fewest else "perhaps fewer would do: the limit of time was reached"
    yield f"first failing schedule, made short: {len(run.schedule)} departures, {len(run.taken)} steps ({proven})"
    yield from steps_of(run)
    yield from ended(run)
    yield f"again: {explored.line}"


def _of_one_search(tally: Tally) -> Iterator[str]:
    pruned = f", {tally.cut_short:,} cut short" if tally.cut_short else ""
    whole = "complete" if tally.is_complete else "NOT complete: a limit ended it"
    if tally.reached is not None and not tally.is_complete:
        whole += f"; every order with at most {tally.reached} departures was run"
    yield (
        f"{tally.way}: {tally.runs:,} run{pruned}, {len(tally.ends):,} ends, {tally.broken_runs:,} broken, "
        f"{tally.seconds:.1f} s ({tally.runs_per_s:,.0f} a second); {whole}"
    )
    rows = outcomes(tally)
    for row in rows[:ENDS_SHOWN]:
        yield f"  {row.runs:9,}  {row.share:7.2%}  {'BROKEN  ' if row.is_broken else ''}{row.end}"
    if len(rows) > ENDS_SHOWN:
        yield f"  … and {len(rows) - ENDS_SHOWN:,} more ends"
