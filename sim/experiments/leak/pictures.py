"""The pictures of the experiment `leak`: residents over time, allocated bytes, pauses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from voxpool.sim.experiments.leak.allocated_bytes import AllocatedSeries
from voxpool.sim.experiments.leak.pauses import Pauses
from voxpool.sim.experiments.leak.residents import Followed
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import Picture

if TYPE_CHECKING:
    from voxpool.sim.experiments.leak.size import Size


def resident_picture(size: Size, days: Mapping[str, Followed]) -> Picture:
    """Return the finished jobs over virtual time of both sides, with the prediction."""
    scale, unit = (3600.0, "hours") if size.duration_s > 3 * 3600 else (60.0, "minutes")
    drawn = [
        Curve(side, [t / scale for t in day.times_s], [max(1, count) for count in day.jobs], side)
        for side, day in days.items()
    ]
    end = max(max(curve.x) for curve in drawn)
    after = size.rate_per_s * size.retention_s
    bound = size.rate_per_s * (size.retention_s + size.interval_s)
    label = f"predicted bound: rate x (retention + interval) = {bound:,.0f}"
    drawn.append(Curve(label, [0, end], [bound] * 2, style="predicted"))
    return curves(
        "resident_jobs",
        "Finished jobs in the table, counted just after each sweep",
        f"virtual time, {unit}",
        "finished jobs (logarithmic)",
        drawn,
        f"Without clean-up the table keeps every job. With it {after:,.0f} are left just after a sweep, "
        f"{size.predicted:,.0f} on average over time, and none at the end (0 is drawn as 1).",
        y_scale="log",
    )


def allocated_picture(size: Size, series: Mapping[str, AllocatedSeries]) -> Picture:
    """Return the allocated bytes by jobs that have ended, both sides."""
    drawn = [
        Curve(side, (found.jobs / 1000).tolist(), ((found.allocated - found.allocated[0]) / 1e6).tolist(), side)
        for side, found in series.items()
        if len(found.allocated)
    ]
    resident = size.allocated.rate_per_s * size.allocated.retention_s
    return curves(
        "allocated_bytes",
        "Allocated bytes since the first sweep, read just after each sweep",
        "jobs ended, thousands",
        "MB",
        drawn,
        f"A separate, shorter run: retention {size.allocated.retention_s:g} s, so about {resident:,.0f} jobs reside "
        "on the plateau. Allocated = blocks of Python's allocator and of malloc that are not freed.",
    )


def pause_picture(size: Size, tables: Mapping[str, list[Pauses]]) -> Picture:
    """Return the longest pauses by the size of the table, both sides, with the limit."""
    kinds: tuple[tuple[str, str, Literal["line", "dotted"]], ...] = (
        ("a sweep", "sweep_ms", "line"),
        ("an insert", "insert_ms", "dotted"),
    )
    drawn = [
        Curve(f"{side}: {what}", [p.jobs for p in found], [max(1e-3, getattr(p, name)) for p in found], side, style)
        for side, found in tables.items()
        for what, name, style in kinds
    ]
    ends = [size.tables[0], size.tables[-1]]
    drawn.append(Curve(f"limit {size.pause_ms:g} ms", ends, [size.pause_ms] * 2, style="predicted"))
    return curves(
        "pauses",
        "Longest pause of the loop by the job table",
        "resident finished jobs",
        "ms (logarithmic)",
        drawn,
        "Without: one dict of all jobs, read completely by each sweep, copied as it grows. With: shards, slices.",
        y_scale="log",
        x_scale="log",
        markers=True,
    )
