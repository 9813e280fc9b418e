"""`voxpool-sim explore`: searches the orders of one flow and reports their ends.

A flow with few orders is searched completely, with sleep sets; a large one near the default order, then at random and
by PCT. A search that a limit of time or runs cuts off is reported as not complete, which is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from voxpool.leakgate.terminal import say
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.experiments.without import variant_without
from voxpool.sim.explore import printing
from voxpool.sim.explore.kept import keep, play_kept
from voxpool.sim.explore.model.execution import MakeExecution
from voxpool.sim.explore.model.flow import Flow
from voxpool.sim.explore.model.running import Run, follow
from voxpool.sim.explore.report import DEPTH, report_of
from voxpool.sim.explore.search.depth_first import every_end, every_order, near_default
from voxpool.sim.explore.search.schedule import from_text, to_text
from voxpool.sim.explore.search.shrinking import Shrunk, shrink
from voxpool.sim.explore.search.tally import Budget, Tally
from voxpool.sim.explore.search.walks import Sizes, pct_walks, random_walks
from voxpool.sim.replay.case import KEPT
from voxpool.sim.replay.regressions import SHIPPED, KeptRun
from voxpool.sim.report.command_options import common, progress_bar, show
from voxpool.sim.virtual_time.stopwatch import Stopwatch

DEPARTURES = 3
WALKS = 1_000
SECONDS = 600.0
QUICK_SECONDS = 20.0
QUICK_WALKS = 200
SHRINK_SECONDS = 60.0
"""Maximum seconds for shrinking the schedule; less for a short search."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of an exploration; None and False use the flow's default."""

    flow: str
    without: str = ""
    seed: int = 1
    departures: int | None = None
    runs: int | None = None
    """Maximum number of executions per search; for random orders and PCT their number."""
    seconds: float | None = None
    pct: int | None = None
    random: bool = False
    plain: bool = False
    quick: bool = False

    @property
    def limit_s(self) -> float:
        """Return the limit in real seconds for all searches together."""
        return self.seconds if self.seconds is not None else QUICK_SECONDS if self.quick else SECONDS

    @property
    def walks(self) -> int:
        """Return the number of random orders of each kind."""
        return self.runs if self.runs is not None else QUICK_WALKS if self.quick else WALKS


@dataclass(slots=True)
class Explored:
    """The results of the searches of a flow."""

    wanted: Wanted
    flow: Flow
    default: Run
    """The run in the default order."""
    tallies: list[Tally] = field(default_factory=list)
    sizes: Sizes | None = None
    """Sizes for the bound of PCT."""
    shrunk: Shrunk | None = None
    """The first failing run, shrunk."""
    kept: Path | None = None
    """The file of its schedule, unless a defect was put back."""
    again: list[KeptRun] = field(default_factory=list)
    """Kept schedules of this flow that fail again; then nothing was searched."""
    searches_agree: bool | None = None
    """True when the complete plain search and the complete pruned one reached the same ends, in as many orders."""

    @property
    def line(self) -> str:
        """The command that runs the failing schedule again ('' = none failed)."""
        if self.shrunk is None:
            return ""
        without = f" --without {self.wanted.without}" if self.wanted.without else ""
        schedule = to_text(self.shrunk.run.schedule)
        return f'voxpool-sim explore {self.flow.name}{without} --schedule "{schedule}"'


@click.command("explore")
@click.argument("flow", required=False)
@click.option(
    "--without", default="", help="Run it with one defect put back: a defect id such as R1 (docs/defects.md)."
)
@click.option(
    "--departures",
    type=click.IntRange(0),
    help="All orders with at most this number of departures from the default one.  [3]",
)
@click.option("--pct", type=click.IntRange(1), metavar="D", help="Orders by PCT, for bugs of depth D.  [3]")
@click.option("--random", is_flag=True, help="Orders with uniformly drawn steps.")
@click.option("--plain", is_flag=True, help="Every interleaving, and again with sleep sets: both must agree.")
@click.option(
    "--runs", type=click.IntRange(1), help="Maximum number of orders per search; for random ones and PCT their number."
)
@click.option(
    "--seconds", type=click.FloatRange(0), help="Real seconds for all searches; a cut off search is not a pass."
)
@click.option("--schedule", metavar="LINE", help="Run one order: the line that an exploration printed.")
@click.option("--all", "is_all", is_flag=True, help="Every flow that can be searched completely, in one report.")
@click.option("--steps", is_flag=True, help="Show for each step its chain and the other open steps.")
@common
def explore_command(
    flow: str | None,
    without: str,
    departures: int | None,
    pct: int | None,
    random: bool,
    plain: bool,
    runs: int | None,
    seconds: float | None,
    schedule: str | None,
    is_all: bool,
    steps: bool,
    seed: int | None,
    json_path: Path | None,
    out: Path | None,
    quick: bool,
    store: str,
) -> int:
    """Run the possible orders of the steps of FLOW: all if their number allows, first those that failed once.

    A step is a script's commit, its reply, a delivery, a timer, a client's action or a fault. Without FLOW, list the
    flows.
    """
    flows = all_flows()
    if is_all:
        from voxpool.sim.explore.all_flows import explore_all

        report = explore_all(flows, seconds, quick, progress_bar)
        return show(report, report.write(json_path, out))
    if flow is None:
        for line in printing.list_of(flows):
            say(line)
        return 0
    if store != "memory":
        raise ConfigError(f"--store {without_password(store)}: orders are explored on the memory store only")
    found = find_flow(flows, flow)
    wanted = Wanted(
        flow=flow,
        without=without,
        seed=1 if seed is None else seed,
        departures=departures,
        runs=runs,
        seconds=seconds,
        pct=pct,
        random=random,
        plain=plain,
        quick=quick,
    )
    if schedule is not None:
        run = replayed(found, wanted, schedule)
        for line in (*printing.steps_of(run, is_full=steps), *printing.ended(run)):
            say(line)
        return 1 if run.broken else 0
    explored = explore(found, wanted, progress_bar, KEPT)
    report = report_of(explored)
    code = show(report, report.write(json_path, out))
    for line in printing.after_the_table(explored, steps):
        say(line)
    return code


def all_flows() -> Mapping[str, Flow]:
    """Return the flows by name. The import is here because flows import production, which the search doesn't need."""
    from voxpool.sim.explore.model.flows import FLOWS

    return FLOWS


def find_flow(flows: Mapping[str, Flow], name: str) -> Flow:
    """Return the flow `name`; raises ConfigError."""
    if name not in flows:
        raise ConfigError(f"no flow {name!r}; {nearest(name, flows)}")
    return flows[name]


def explore(flow: Flow, wanted: Wanted, progress: Callable[[str], Any], kept_in: Path | None = None) -> Explored:
    """Search the orders of `flow`, and shrink the first failing schedule.

    With `kept_in` the kept schedules of `flow` are played first; when one fails nothing is searched. A schedule that is
    found to fail is kept there. Both apply only without a defect that is put back.
    """
    make_execution = flow.execution_of(variant_without(wanted.without))
    explored = Explored(wanted, flow, follow(make_execution, ()))
    kept_in = None if wanted.without else kept_in
    if kept_in is not None:
        explored.again = [run for run in play_kept({flow.name: flow}, (SHIPPED, kept_in)) if run.signs]
        if explored.again:
            return explored
    searches = _searches(flow, wanted, make_execution, explored)
    watch = Stopwatch()
    for search in searches:
        with progress(flow.name) as tell:
            explored.tallies.append(search(max(0.0, wanted.limit_s - watch.seconds()), tell))
    explored.searches_agree = _searches_agree(explored.tallies)
    failing = next((tally.first_broken for tally in explored.tallies if tally.first_broken), None)
    if failing is not None:
        with progress("shrinking") as tell:
            budget = Budget(seconds=min(SHRINK_SECONDS, max(5.0, wanted.limit_s / 10)))
            explored.shrunk = shrink(make_execution, failing, budget, tell)
        if kept_in is not None:
            explored.kept = keep(flow.name, explored.shrunk.run, kept_in)
    return explored


Search = Callable[[float, Any], Tally]


def _searches(flow: Flow, wanted: Wanted, make_execution: MakeExecution, explored: Explored) -> list[Search]:
    """Return the requested searches, each as a function of its seconds."""

    def budget(seconds: float) -> Budget:
        return Budget(wanted.runs, seconds)

    def plain(seconds: float, tell: Any) -> Tally:
        return every_order(make_execution, budget(seconds), tell)

    def pruned(seconds: float, tell: Any) -> Tally:
        return every_end(make_execution, budget(seconds), tell)

    def near(seconds: float, tell: Any) -> Tally:
        most = DEPARTURES if wanted.departures is None else wanted.departures
        return near_default(make_execution, most, budget(seconds), tell)

    def by_pct(seconds: float, tell: Any) -> Tally:
        depth = DEPTH if wanted.pct is None else wanted.pct
        tally, explored.sizes = pct_walks(make_execution, depth, wanted.walks, wanted.seed, Budget(None, seconds), tell)
        return tally

    def at_random(seconds: float, tell: Any) -> Tally:
        return random_walks(make_execution, wanted.walks, wanted.seed, Budget(None, seconds), tell)

    chosen: list[Search] = [
        *([pruned, plain] if wanted.plain else []),
        *([near] if wanted.departures is not None else []),
        *([at_random] if wanted.random else []),
        *([by_pct] if wanted.pct is not None else []),
    ]
    return chosen or ([pruned] if flow.is_complete else [at_random, by_pct, near])


def _searches_agree(tallies: list[Tally]) -> bool | None:
    whole = [tally for tally in tallies if tally.is_complete and tally.is_exhaustive]
    return all(tally.agrees(whole[0]) for tally in whole) if len(whole) > 1 else None


def replayed(flow: Flow, wanted: Wanted, schedule: str) -> Run:
    """Run `flow` by a pasted schedule; raises ConfigError when it isn't one of this flow."""
    return follow(flow.execution_of(variant_without(wanted.without)), from_text(schedule))
