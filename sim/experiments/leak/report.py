"""The report of the experiment `leak`: lines, notes and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from voxpool.leakgate.judging.judge import RSS_TIMES
from voxpool.leakgate.judging.trend import Trend, Verdict, judge
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.leak.allocated_bytes import AllocatedSeries
from voxpool.sim.experiments.leak.forgotten import Asked
from voxpool.sim.experiments.leak.pauses import Pauses
from voxpool.sim.experiments.leak.pictures import allocated_picture, pause_picture, resident_picture
from voxpool.sim.experiments.leak.residents import Followed
from voxpool.sim.experiments.leak.size import QUESTION
from voxpool.sim.report.limits import Figure, shown
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report
from voxpool.sim.scenario.evidence import missing_evidence

if TYPE_CHECKING:
    from voxpool.sim.experiments.leak.size import Size

NAN = math.nan


def report(options: Options, size: Size, rows: Sequence[str], results: Mapping[str, Any]) -> Report:
    """Return the report of the parts."""
    lines: list[Line] = []
    notes: list[str] = []
    pictures: list[Callable[[], Picture]] = []
    runs: dict[str, dict[str, Any]] = {side: {} for side in options.sides()}
    if "M1" in rows:
        days = {side: results[f"M1 {side}"] for side in options.sides()}
        for side, followed in days.items():
            runs[side].update(followed.run, store_families_end=followed.families_end)
        lines += _counts(size, days)
        notes += _count_notes(size, days)
        pictures.append(partial(resident_picture, size, days))
        _allocated(options, size, results, lines, notes, pictures, runs)
    if "M2" in rows:
        asked = {side: results[f"M2 {side}"] for side in options.sides()}
        lines += _asks(asked)
        for side, found in asked.items():
            runs[side]["asked_in_vain"] = [asdict(a) for a in found]
    if "M9" in rows:
        tables = {side: results[f"M9 {side}"] for side in options.sides()}
        lines += _pauses(size, tables)
        notes.append(
            f"Pauses are CPU time of the loop's thread, the minimum of {size.table_rounds} rounds for each operation; "
            "without = one dict, read completely each second."
        )
        pictures.append(partial(pause_picture, size, tables))
        for side, found in tables.items():
            runs[side]["pauses"] = [asdict(p) for p in found]
    return Report(
        experiment="leak",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(
            duration_s=size.duration_s, rate_per_s=size.rate_per_s, nodes=size.nodes, finished_max=0,
            retention_s=size.retention_s, cleanup_interval_s=size.interval_s,
        ),
        lines=lines,
        variants=runs,
        variant=options.variant,
        unproven=missing_evidence(runs[WITH]) if "jobs" in runs.get(WITH, {}) else (),
        notes=notes,
        pictures=pictures,
    )  # fmt: skip


def _get(days: Mapping[str, Any], side: str, figure: Any) -> Figure:
    return figure(days[side]) if side in days else None


def _counts(size: Size, days: Mapping[str, Followed]) -> list[Line]:
    def both(figure: Any) -> tuple[Figure, Figure]:
        return _get(days, WITHOUT, figure), _get(days, WITH, figure)

    low, high = ((1 + sign * size.tolerance) * size.predicted for sign in (-1, 1))
    submitted = both(lambda day: day.run["jobs"]["submitted"])
    return [
        Line("M1", "jobs submitted", "", *submitted),
        Line(
            "M1", "finished jobs left after drain + retention + interval", "",
            *both(lambda day: day.run["resident"]["jobs_end"]), limit="== 0",
            shows=f"== {submitted[0]}" if submitted[0] else "> 0",
        ),
        Line(
            "M1", "finished jobs in the table, mean over time", "",
            *both(lambda day: day.run["resident"]["jobs_mean"]), limit=f"{low:.0f} .. {high:.0f}", shows="breaks",
        ),
        Line(
            "M1", "finished jobs in the table, maximum", "",
            *both(lambda day: day.run["resident"]["jobs_max"]), limit=f"<= {size.predicted_max:.0f}", shows="breaks",
        ),
        Line(
            "M1", "members in the store at the end, 3 families per node", "",
            *both(lambda day: sum(day.families_end.values())), limit=f"== {3 * size.nodes}",
        ),
        Line("M1", "checkers broken", "", None, _get(days, WITH, lambda day: len(day.broken)), limit="== 0"),
    ]  # fmt: skip


def _count_notes(size: Size, days: Mapping[str, Followed]) -> list[str]:
    notes = [
        f"Predicted by Little's law: rate x (retention + interval/2) = {size.rate_per_s:g} x ({size.retention_s:g} + "
        f"{size.interval_s:g}/2) = {size.predicted:,.0f} finished jobs; a single leaked job is visible in the counts."
    ]
    for side, day in days.items():
        families = ", ".join(f"{name} {count}" for name, count in day.families_end.items() if count)
        notes.append(f"Store at the end, {side}: {families or 'empty'}.")
        notes += [f"Checker, {side}: {sentence}" for sentence in day.broken]
    return notes


def _allocated(
    options: Options,
    size: Size,
    results: Mapping[str, Any],
    lines: list[Line],
    notes: list[str],
    pictures: list[Callable[[], Picture]],
    runs: dict[str, dict[str, Any]],
) -> None:
    series: dict[str, AllocatedSeries] = {side: results[f"allocated {side}"] for side in options.sides()}
    trends = {side: _trend(size, found) for side, found in series.items()}
    rss = {side: _trend(size, found, "rss") for side, found in series.items()}
    for side, found in series.items():
        runs[side]["allocated_bytes"] = {
            "trend": asdict(trends[side]),
            "rss": asdict(rss[side]),
            "readings": len(found.allocated),
        }
        if found.unreadable:
            notes.append(f"Allocated bytes, {side}: {found.unreadable}")
        else:
            notes.append(f"Allocated bytes, {side}: {trends[side].verdict.value}: {trends[side].reason}.")

    def slope(of: Mapping[str, Trend], side: str) -> Figure:
        return a_job(series[side], of[side]) if side in of else None

    def word(of: Mapping[str, Trend], side: str) -> Figure:
        return of[side].verdict.value if side in of else None

    lines += [
        Line(
            "M1", "allocated bytes, verdict", "", word(trends, WITHOUT), word(trends, WITH), limit="== no leak",
            shows="== leak",
        ),
        Line("M1", "allocated bytes retained per job", "B", slope(trends, WITHOUT), slope(trends, WITH)),
        Line("M1", "RSS, verdict", "", word(rss, WITHOUT), word(rss, WITH)),
        Line("M1", "RSS retained per job", "B", slope(rss, WITHOUT), slope(rss, WITH)),
    ]  # fmt: skip
    if options.variant != "without":
        lines.append(_planted(size, results, notes, runs))
    pictures.append(partial(allocated_picture, size, series))


def _planted(size: Size, results: Mapping[str, Any], notes: list[str], runs: dict[str, dict[str, Any]]) -> Line:
    planted: dict[float, AllocatedSeries] = {leak: results[f"planted {leak:g}"] for leak in size.planted}
    trends = {leak: _trend(size, found) for leak, found in planted.items()}
    smallest = smallest_leak(trends)
    measured = "; ".join(
        f"{leak:g} B per job: {trend.verdict.value}, measured {shown(a_job(planted[leak], trend))} B"
        for leak, trend in sorted(trends.items())
    )
    notes.append(
        f"Planted in production's table: {measured}. Growth up to {size.limit_bytes:g} B per job counts as none."
    )
    runs[WITH]["planted"] = {f"{leak:g}": asdict(trend) for leak, trend in trends.items()}
    figure = NAN if smallest is None else smallest
    limit = f"<= {max(size.planted):g}"
    return Line("M1", "smallest planted leak that was found", "B per job", None, figure, limit)


def smallest_leak(planted: Mapping[float, Trend]) -> float | None:
    """Return the smallest planted leak such that it and every larger one was found; None when the largest was not.

    `planted` maps a leak (bytes per job, above 0) to the verdict on the run with that leak.
    """
    found: float | None = None
    for leak in sorted(planted, reverse=True):
        if planted[leak].verdict is not Verdict.LEAK:
            break
        found = leak
    return found


def _trend(size: Size, series: AllocatedSeries, of: str = "allocated") -> Trend:
    jobs = series.jobs[-1] if len(series.jobs) else 1.0
    # RSS moves in steps of arenas and heap tops: its limit is coarser.
    limit = size.limit_bytes * (1.0 if of == "allocated" else RSS_TIMES)
    return judge(getattr(series, of), limit * float(jobs))


def a_job(series: AllocatedSeries, trend: Trend) -> float:
    """Return the growth per job, in bytes; nan when the evidence is too little."""
    return trend.growth / float(series.jobs[-1]) if len(series.jobs) else NAN


def _asks(asked: Mapping[str, list[Asked]]) -> list[Line]:
    lines = []
    for i, one in enumerate(next(iter(asked.values()))):
        without, with_ = (asked[side][i].share if side in asked else None for side in (WITHOUT, WITH))
        name = f"queries {one.after_s:g} s after the end without a result, sweeps every {one.interval_s:g} s"
        lines.append(Line("M2", name, "%", without, with_, limit="== 0", shows="== 100"))
    return lines


def _pauses(size: Size, tables: Mapping[str, list[Pauses]]) -> list[Line]:
    lines = []
    for i, jobs in enumerate(size.tables):
        is_last = i == len(size.tables) - 1
        for what, field in (("a sweep", "sweep_ms"), ("an insert", "insert_ms"), ("the collector", "collector_ms")):
            without, with_ = (getattr(tables[side][i], field) if side in tables else None for side in (WITHOUT, WITH))
            shows = "breaks" if is_last and field != "collector_ms" else ""
            name = f"longest pause by {what} at {jobs:,} jobs"
            lines.append(Line("M9", name, "ms", without, with_, f"<= {size.pause_ms:g}", shows))
    return lines
