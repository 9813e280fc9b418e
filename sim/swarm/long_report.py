"""`voxpool-sim soak`: weeks of virtual time with every fault; bounds must hold, and no checker may be broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from statistics import median
from typing import Any

from voxpool.leakgate.judging.trend import Trend, Verdict, judge
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, Line, Picture, Report
from voxpool.sim.scenario.evidence import missing_evidence
from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.swarm.coverage import never
from voxpool.sim.swarm.long_bounds import CAPPED
from voxpool.sim.swarm.long_generated import FULL, QUICK, LongSize, draw_long, sized
from voxpool.sim.swarm.long_run import LongRun, long_run, maxima

SEED = 1
FLOOR_PART = 0.1
"""Growth over the whole run, as a share of the level, that counts as none."""
FLOOR_ENTRIES = 20.0
"""The same in entries, for small series; the fleet has more nodes and slots."""
FLOOR_BYTES = 2e6
"""The same in bytes: 0.15 bytes for each of 13 million jobs."""
REAL_S_MAX = 1800.0
"""The full run must end within half an hour."""
SHOWN = {
    "jobs in the table": "#1f6fb2",
    "deadlines of jobs": "#d98c10",
    "store: free": "#2e8b57",
    "store: held": "#8e44ad",
    "jobs waiting": "#c0392b",
}
"""Series of the picture -> colour."""

Progress = Callable[[str], AbstractContextManager[Callable[[float], None] | None]]


def soak_days(*, days: float | None, seed: int | None, quick: bool, store: str, progress: Progress) -> Report:
    """Run the long soak of `days` days (the full size has 30). Raises ConfigError for an unknown store."""
    size = sized(days) if days is not None else QUICK if quick else FULL
    seed = SEED if seed is None else seed
    scenario = draw_long(seed, size)
    with progress(f"{size.days:g} days") as tell:
        played = long_run(scenario, size, store, tell)
    options = {"seed": seed, "days": size.days, "store": store, "quick": quick}
    return report_of(played, scenario, size, options)


def report_of(played: LongRun, scenario: Scenario, size: LongSize, options: dict[str, Any]) -> Report:
    """Return the report: checkers, faults, and a verdict on each series."""
    run, jobs = played.run, played.run["jobs"]
    nodes = sum(group.count for group in scenario.nodes)
    submitted = jobs["submitted"]
    lines = [
        Line("", "virtual time", "days", None, run["virtual_s"] / 86_400),
        Line("", "nodes", "", None, nodes, limit=">= 20"),
        Line("", "jobs", "", None, submitted),
        Line("", "jobs a second", "1/s", None, submitted / scenario.duration_s),
        Line("", "jobs lost", "", None, jobs["lost"], limit="== 0"),
        Line("", "jobs completed", "", None, jobs["completed"] / submitted if submitted else math.nan),
        Line("", "checkers that broke", "", None, len(played.broken), limit="== 0"),
        Line("", "faults begun", "", None, run["faults"]["begun"]),
        Line("", "the rarest fault struck", "", None, _rarest(played), limit=f">= {size.strikes_min}"),
        Line("", "real time", "s", None, run["wall_s"], limit=f"< {REAL_S_MAX:g}" if size == FULL else ""),
        Line("", "real time a job", "us", None, 1e6 * run["wall_s"] / submitted if submitted else math.nan),
    ]
    greatest = maxima(played.series)
    trends = {}
    for name, values in played.series.items():
        level = median(values) if values else 0.0
        floor = FLOOR_BYTES if name == "allocated bytes" else max(FLOOR_ENTRIES, FLOOR_PART * level)
        trends[name] = trend = judge(values, floor)
        lines.append(Line("", f"{name}, at most", "", None, greatest[name]))
        above = _above(played, name)
        if above is not None:
            lines.append(Line("", f"{name}, readings above the bound", "", None, above, limit="== 0"))
        lines.append(_trend_line(name, trend, is_bounded=above == 0))
    if played.unreadable:
        lines.append(Line("", "allocated bytes, trend", "", None, None, limit="== no leak"))
    counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(played.faults.items()))
    missing = never(played.reached)
    notes = [
        *([f"allocated bytes could not be read: {played.unreadable}"] if played.unreadable else []),
        f"faults: {counts}",
        *(f"trend of {name}: {trend.reason}" for name, trend in trends.items() if trend.verdict.value != "no leak"),
        *(
            f"never reached, {family}: {', '.join(names)}"
            for family, names in missing.items()
            if names and family != "script blocks"
        ),
        *played.broken,
        f"again: voxpool-sim soak --seed {options['seed']} --days {options['days']:g}",
    ]
    return Report(
        experiment="soak",
        question="does anything grow in weeks of work with every fault?",
        seed=options["seed"],
        options=options,
        lines=lines,
        variants={WITH: run},
        variant=WITH,
        unproven=missing_evidence(run),
        notes=notes,
        pictures=[partial(_picture, played), partial(_bytes, played)],
        extra={"faults": played.faults, "coverage": {family: dict(c) for family, c in played.reached.items()}},
    )


def _above(played: LongRun, name: str) -> int | None:
    """Return the number of readings above their bound; None without a bound."""
    bounds = played.bounds.get(name)
    return None if bounds is None else sum(n > most for n, most in zip(played.series[name], bounds, strict=True))


def _trend_line(name: str, trend: Trend, is_bounded: bool) -> Line:
    """Return the line of a trend. When the trend is unclear, it is enough that no reading is above its bound; a series
    with a cap may rise until it is reached.
    """
    verdict = trend.verdict.value
    if is_bounded and (trend.verdict is Verdict.UNCLEAR or name == CAPPED):
        return Line("", f"{name}, trend", "", None, f"{verdict}, within its bound")
    return Line("", f"{name}, trend", "", None, verdict, limit="== no leak")


def _rarest(played: LongRun) -> int:
    from voxpool.sim.faults import FAULTS

    return min(played.faults.get(kind, 0) for kind in FAULTS)


def _picture(played: LongRun) -> Picture:
    days = [at / 86_400 for at in played.times_s]
    lines = [Curve(name, days, played.series[name], colour=colour) for name, colour in SHOWN.items()]
    return curves(
        "residents", "What resides", "virtual days", "entries", lines, "Read after a sweep.", y_scale="symlog"
    )


def _bytes(played: LongRun) -> Picture:
    days = [at / 86_400 for at in played.times_s]
    values = [n / 1e6 for n in played.series.get("allocated bytes", [])]
    lines = [Curve("allocated bytes", days[: len(values)], values, WITH)]
    return curves(
        "allocated_bytes", "Allocated bytes of the process", "virtual days", "MB", lines, "Read after a sweep."
    )
