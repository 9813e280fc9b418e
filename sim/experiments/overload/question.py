"""What does a pool do above its capacity? (defect overload)

Without: every submit is accepted while there is room, and fails after its waiting timeout. With: production refuses
jobs that would wait too long. Both are compared with M/M/c/K, a bounded queue: K is the number of jobs at which the
next one waits at most the timeout, with the probability of being late that intake.py accepts. In lasting overload this
is LATE_SHARE, after a time of low load up to LATE_SPARE_MAX, so theory gives a range.

Jobs with a short timeout beside patient ones are in short_timeouts.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.admission.intake import LATE_SHARE, LATE_SPARE_MAX
from voxpool.scheduler.core.admission.wait_times import SERVICES_KEPT, chance_above
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.checkers import CHECKERS
from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.overload.short_timeouts import (
    LATE_FACTOR,
    LONG_S,
    REFUSES,
    SHORT_S,
    WORKS,
    ShortJobs,
    lines_of,
    short_jobs,
)
from voxpool.sim.experiments.overload.without.accepts_all import AcceptsAll
from voxpool.sim.experiments.processes import Part, Tell, run_parts
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.report.pictures import Bar, bars
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report
from voxpool.sim.report.theory import bounded_queue
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.run import play
from voxpool.sim.world.variant import Variant

QUESTION = "What does a pool do with more jobs than it can complete?"
ROW = "overload"
ROWS = {ROW: "in overload every job is accepted, and accepted jobs fail"}
PAIR = "zh:en"


@dataclass(frozen=True)
class Size:
    """A pool of `nodes` with `slots` each, works of `work_s` on average, `duration_s` of traffic at each of `loads`."""

    nodes: int = 5
    slots: int = 2
    work_s: float = 0.5
    duration_s: float = 3600.0
    loads: tuple[float, ...] = (0.8, 1.0, 1.2, 2.0, 5.0)
    short_s: float = 3600.0
    """Duration of the traffic with short timeouts."""

    @property
    def servers(self) -> int:
        """Number of slots of all nodes."""
        return self.nodes * self.slots


FULL = Size()
QUICK = Size(duration_s=300.0, loads=(0.8, 2.0, 5.0), short_s=300.0)


@dataclass(frozen=True)
class Found:
    """The result of one run: shares of 1, the mean wait of the completed jobs in seconds."""

    refused: float
    completed: float
    """Waits of the accepted jobs."""
    wait_s: float
    utilisation: float
    broken: int


def one_run(size: Size, load: float, seed: int, store: str, side: str, tell: Tell) -> Found:
    """Run one load on one side."""
    rate_per_s = load * size.servers / size.work_s
    scenario = Scenario(
        name=f"overload {load:g}",
        duration_s=size.duration_s,
        settings={"retention_s": 10.0, "cleanup_interval_s": 10.0, "finished_max": 0},
        nodes=[Nodes(count=size.nodes, pairs=[PAIR], slots=size.slots)],
        traffic=[Traffic(pair=PAIR, rate_per_s=rate_per_s, work_s=Exponential(size.work_s))],
    )
    variant = Variant() if side == WITH else replaced(intake=AcceptsAll)
    checkers = CHECKERS if side == WITH else ()
    played = play(scenario, seed=seed, store=store, variant=variant, checkers=checkers, is_traced=False, progress=tell)
    jobs, run = played.run["jobs"], played.run
    accepted, refused = jobs["submitted"], jobs["rejected"]
    return Found(
        refused / (accepted + refused),
        jobs["completed"] / accepted,
        run["wait_s"]["mean"],
        run["utilisation"],
        len(played.broken),
    )


def waiting_max(size: Size, late: float) -> int:
    """Return the number of waiting jobs up to which the probability of lateness is at most `late` (intake.py)."""
    settings = Settings()
    rate_per_ms = size.servers / size.work_s / 1000
    starts = rate_per_ms * settings.rate_window_s * 1000 + SERVICES_KEPT
    ahead = 1
    while (
        chance_above(
            settings.waiting_timeout_s * 1000,
            (ahead + 1) / rate_per_ms,
            math.sqrt(ahead + 1 + (ahead + 1) ** 2 / starts) / rate_per_ms,
        )
        <= late
    ):
        ahead += 1
    return ahead


def predicted(size: Size, load: float) -> list[tuple[float, float]]:
    """Return the share refused and the mean wait by M/M/c/K, for the shortest and for the longest queue."""
    return [
        bounded_queue(size.servers, load, size.work_s, waiting_max(size, late)) for late in (LATE_SHARE, LATE_SPARE_MAX)
    ]


def _filling(size: Size, load: float) -> float:
    """Return the share of submits that fill the queue before the steady state, for which theory holds."""
    submits = load * size.servers / size.work_s * size.duration_s
    return (size.servers + waiting_max(size, LATE_SPARE_MAX)) / submits


def measure(options: Options, _rows: list[str]) -> Report:
    """Run the experiment in the size of `options`."""
    size = QUICK if options.quick else FULL
    parts = [
        Part(f"{side} {load:g}", one_run, (size, load, options.seed, options.store, side))
        for load in sorted(size.loads, reverse=True)
        for side in options.sides()
    ]
    parts += [
        Part(f"{side} {work}", short_jobs, (work, size.short_s, options.seed, options.store, side))
        for work in WORKS
        for side in (*options.sides(), REFUSES)
    ]
    found = run_parts(parts, options.progress, options.at_once)
    short = {name: each for name, each in found.items() if isinstance(each, ShortJobs)}
    return report_of(options, size, {name: found[name] for name in found.keys() - short.keys()}, short)


def report_of(options: Options, size: Size, found: Mapping[str, Found], short: Mapping[str, ShortJobs] = {}) -> Report:
    """Return the report; `found` has one entry for each "side load", `short` for each "side work"."""
    lines = [line for load in size.loads for line in _lines(size, load, found)]
    runs = [each for name, each in found.items() if name.startswith(f"{WITH} ")]
    lines += lines_of(ROW, short)
    broken = sum(each.broken for each in runs) + sum(each.broken for each in short.values())
    lines.append(Line(ROW, "broken checkers", "", None, broken if runs else None, "== 0"))
    shown: dict[str, Any] = {name: asdict(each) for name, each in found.items()}
    shown |= {name: asdict(each) for name, each in short.items()}
    variants = {
        side: {name.partition(" ")[2]: each for name, each in shown.items() if name.startswith(f"{side} ")}
        for side in (*options.sides(), REFUSES)
    }
    limits = [waiting_max(size, late) for late in (LATE_SHARE, LATE_SPARE_MAX)]
    return Report(
        experiment="overload",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(**{key: value for key, value in asdict(size).items() if key not in ("loads", "short_s")}),
        lines=lines,
        variants=variants,
        variant=options.variant,
        pictures=[lambda: _picture(size, found)],
        notes=[
            f"M/M/c/K with c = {size.servers} and K = c + {limits[0]} to c + {limits[1]} (Gross and Harris, 2.5). "
            "The limits are wider by 2 points of the share and 10 % of the wait, because arrivals are random. The "
            "share may be lower by the jobs that fill the queue at the start.",
            f"Half of the jobs have {SHORT_S:g} s, half {LONG_S:g} s: with the fix the pool refuses what would wait "
            f"too long and gives up what has too little time left (late_factor {LATE_FACTOR:g}). Its limit is a "
            "multiple of the jobs in time of a pool that refuses nobody, and 99 % of those of one that only refuses.",
        ],
    )


def _lines(size: Size, load: float, found: Mapping[str, Found]) -> list[Line]:
    without, with_ = found.get(f"{WITHOUT} {load:g}"), found.get(f"{WITH} {load:g}")
    (most_refused, shortest_s), (least_refused, longest_s) = predicted(size, load)
    at = f"load {load:g}: "
    range_of = f"{max(0.0, 100 * (least_refused - _filling(size, load)) - 2):.2f} .. {100 * most_refused + 2:.2f}"
    waits = f"{0.9 * shortest_s - 0.05:.3f} .. {1.1 * longest_s:.3f}"

    def both(name: str, scale: float = 1.0) -> tuple[float | None, float | None]:
        sides = [None if each is None else scale * getattr(each, name) for each in (without, with_)]
        return sides[0], sides[1]

    fails = "< 60" if load >= 2 else ""
    return [
        Line(ROW, at + "accepted jobs that complete", "%", *both("completed", 100), ">= 99", fails),
        Line(ROW, at + "submits refused (M/M/c/K)", "%", *both("refused", 100), range_of),
        Line(ROW, at + "mean wait of the completed (M/M/c/K)", "s", *both("wait_s"), waits),
        Line(ROW, at + "share of the slots that work", "%", *both("utilisation", 100)),
    ]


def _picture(size: Size, found: Mapping[str, Found]) -> Picture:
    def completed(side: str, load: float) -> float | None:
        each = found.get(f"{side} {load:g}")
        return None if each is None else 100 * each.completed

    groups = [Bar(f"load {load:g}", completed(WITHOUT, load), completed(WITH, load)) for load in size.loads]
    caption = "Without, every job is accepted; with the fix a job that would wait too long is refused."
    return bars("completed", "Accepted jobs that complete", "%", groups, caption)


EXPERIMENT = Experiment("overload", QUESTION, ROWS, measure)
