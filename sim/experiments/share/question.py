"""Who gets a pool that is too small for all? (defect share)

Without: the oldest job is next (order = "submit"). With: priorities, and turns of the keys by their weights
(order = "fair"), at the queue and at the door.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.chance.distributions import Even
from voxpool.sim.checkers import CHECKERS
from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.processes import Part, Tell, run_parts
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.report.pictures import Curve, Style, curves
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.clients import Request
from voxpool.sim.world.run import play
from voxpool.sim.world.world import World

QUESTION = "Who gets a pool that is too small for all?"
ROW = "share"
ROWS = {ROW: "a client that submits much takes the pool from the others"}
ORDERS = {WITHOUT: "submit", WITH: "fair"}
NODES, SLOTS, WORK_S = 10, 2, 1.0
WARMUP_S = 60.0
PAIRS = ("zh:en", "en:zh")


def stream(key: str, rate_per_s: float, *, work_s: float = WORK_S, pair: str = PAIRS[0], **share: Any) -> Traffic:
    """Return a stream of `key` with even work, plus or minus 20 %."""
    return Traffic(pair=pair, rate_per_s=rate_per_s, work_s=Even(work_s, 0.2), key=key, **share)


CASES: dict[str, tuple[Traffic, ...]] = {
    "a flood and a sparse key": (stream("loud", 25.0), stream("sparse", 2.5)),
    "two pairs on the same nodes": (stream("loud", 25.0), stream("sparse", 2.5, pair=PAIRS[1])),
    "live and batch": (stream("batch", 25.0, priority=5), stream("live", 10.0, work_s=0.5, priority=1)),
    "weights 1, 2, 4": tuple(stream(key, 25.0, weight=weight) for key, weight in (("a", 1.0), ("b", 2.0), ("c", 4.0))),
}
"""The streams of each run; the pool does NODES * SLOTS / WORK_S = 20 jobs a second."""
QUIET = {"a flood and a sparse key": "sparse", "two pairs on the same nodes": "sparse", "live and batch": "live"}
"""Case -> the key that asks for less than its part: it should not notice the others."""


@dataclass
class Found:
    """What each key got, of the jobs that were made after WARMUP_S; waits in seconds."""

    made: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    waits_s: dict[str, list[float]] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)
    """Jobs that started from WARMUP_S to the end of the traffic."""
    broken: int = 0

    def percentile_s(self, key: str, percent: float) -> float:
        """Return a percentile of the waits of `key`."""
        return float(np.percentile(self.waits_s[key], percent))

    def lost_share(self, key: str) -> float:
        """Return the share of the jobs of `key` that were refused or failed."""
        return 1 - self.completed[key] / self.made[key]


class _Count(Watcher):
    """Counts what the clients of each key get."""

    def __init__(self, world: World, found: Found, ends_s: float) -> None:
        self._env = world.env
        self._ends_s = ends_s
        self._by_job = world.clients.by_job
        self._found = found

    def request_made(self, request: Request) -> None:
        if self._env.now >= WARMUP_S:
            self._found.made[request.share.key] += 1

    def job_dispatched(self, job: Job, node: Node) -> None:
        request = self._by_job.get(job.job_id)
        if request is not None and WARMUP_S <= self._env.now < self._ends_s:
            self._found.started[request.share.key] += 1
        if request is not None and request.made_at >= WARMUP_S and job.attempt == 1:
            self._found.waits_s.setdefault(request.share.key, []).append((job.dispatched_ms - job.submitted_ms) / 1000)

    def request_ended(self, request: Request, state: str) -> None:
        if request.made_at >= WARMUP_S and state == COMPLETED:
            self._found.completed[request.share.key] += 1


def one_run(case: str, duration_s: float, seed: int, store: str, side: str, tell: Tell) -> Found:
    """Run one case on one side."""
    scenario = Scenario(
        name=case.replace(",", ""),
        duration_s=duration_s,
        settings={"order": ORDERS[side], "waiting_timeout_s": 60.0, "retention_s": 10.0, "cleanup_interval_s": 10.0},
        nodes=[Nodes(count=NODES, pairs=list(PAIRS), slots=SLOTS)],
        traffic=list(CASES[case]),
    )
    found = Found()
    played = play(
        scenario,
        seed=seed,
        store=store,
        checkers=CHECKERS,
        is_traced=False,
        progress=tell,
        watchers=[lambda world: _Count(world, found, duration_s)],
    )
    found.broken = len(played.broken)
    return found


def measure(options: Options, _rows: list[str]) -> Report:
    """Run the experiment in the size of `options`."""
    duration_s = 300.0 if options.quick else 1800.0
    parts = [
        Part(f"{side} {case}", one_run, (case, duration_s, options.seed, options.store, side))
        for case in CASES
        for side in options.sides()
    ]
    return report_of(options, duration_s, run_parts(parts, options.progress, options.at_once))


def report_of(options: Options, duration_s: float, found: Mapping[str, Found]) -> Report:
    """Return the report; `found` has one entry for each "side case"."""
    lines = [line for case in CASES for line in _lines(case, found)]
    runs = [each for name, each in found.items() if name.startswith(f"{WITH} ")]
    lines.append(Line(ROW, "broken checkers", "", None, sum(each.broken for each in runs) if runs else None, "== 0"))
    variants: dict[str, Any] = {
        side: {name.partition(" ")[2]: _shown(each) for name, each in found.items() if name.startswith(f"{side} ")}
        for side in options.sides()
    }
    return Report(
        experiment="share",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(duration_s=duration_s),
        lines=lines,
        variants=variants,
        variant=options.variant,
        pictures=[lambda: _picture(found)],
        notes=[
            f"{NODES} nodes with {SLOTS} slots do 20 jobs a second. loud and batch submit 25 a second, sparse 2.5, "
            "live 10 of half the work; a, b and c 25 each. Waits and losses are those of jobs made after a minute.",
        ],
    )


def _lines(case: str, found: Mapping[str, Found]) -> list[Line]:
    without, with_ = found.get(f"{WITHOUT} {case}"), found.get(f"{WITH} {case}")

    def line(name: str, unit: str, of: Callable[[Found], float], limit: str, shows: str = "") -> Line:
        before, now = (None if each is None else of(each) for each in (without, with_))
        return Line(ROW, f"{case}: {name}", unit, before, now, limit, shows)

    quiet = QUIET.get(case)
    if quiet is None:
        return [
            line("starts of b for one of a", "", lambda each: each.started["b"] / each.started["a"], "1.8 .. 2.2"),
            line("starts of c for one of a", "", lambda each: each.started["c"] / each.started["a"], "3.6 .. 4.4"),
        ]
    all_before = "" if without is None else f">= {0.99 * without.started.total():.0f}"
    return [
        line(f"wait of {quiet}, p99", "s", lambda each: each.percentile_s(quiet, 99), "<= 0.5", "> 5"),
        line(f"jobs of {quiet} refused or failed", "%", lambda each: 100 * each.lost_share(quiet), "== 0", "> 0"),
        line("jobs that started, of all", "", lambda each: each.started.total(), all_before),
    ]


def _shown(found: Found) -> dict[str, Any]:
    return {
        key: {
            "made": found.made[key],
            "completed": found.completed[key],
            "started": found.started[key],
            "wait_p50_s": found.percentile_s(key, 50),
            "wait_p99_s": found.percentile_s(key, 99),
        }
        for key in sorted(found.made)
    } | {"broken": found.broken}


def _picture(found: Mapping[str, Found]) -> Picture:
    """Draw the waits of the sparse key beside those of the loud one."""
    percents = [*range(1, 100), 99.5, 99.9]
    case = next(iter(CASES))
    drawn = []
    styles: tuple[tuple[str, Style], ...] = (("sparse", "line"), ("loud", "dotted"))
    for side in (WITHOUT, WITH):
        each = found.get(f"{side} {case}")
        for key, style in styles:
            if each is not None:
                waits_s = [max(0.001, each.percentile_s(key, percent)) for percent in percents]
                drawn.append(Curve(f"{side}: {key}", percents, waits_s, side, style))
    return curves(
        "waits", "Wait of a sparse key beside a flood", "percentile of the jobs", "s (logarithmic)", drawn,
        "20 jobs a second are done; loud submits 25, sparse 2.5.", y_scale="log",
    )  # fmt: skip


EXPERIMENT = Experiment("share", QUESTION, ROWS, measure)
