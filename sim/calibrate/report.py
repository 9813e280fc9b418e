"""Makes the report of a calibration: tables, a line for each limit, charts, and the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from voxpool.sim.calibrate.compare import FIGURES, Compared, Figure, Point
from voxpool.sim.calibrate.costs import Costs
from voxpool.sim.report.limits import UNCLEAR_WORD, shown
from voxpool.sim.report.pictures import Curve, Style, canvas, curves
from voxpool.sim.report.report import WITH, Line, Picture, Report, Table
from voxpool.sim.report.svg import svg_of

QUESTION = "Does the simulation predict this machine?"
LOAD_DEMANDED = 0.8
"""No limits apply from this load on: an error of a cost is amplified by 1 / (1 - load)."""
OFF_TOLD = 0.1
LAG_MS_MAX = 2.0
"""When 1 % of the arrivals were sent later than this, other processes used the machine: errors then prove nothing."""
MEASURED, PREDICTED, WITHOUT_COSTS = "measured", "predicted", "predicted without costs"
STYLES: dict[str, Style] = {MEASURED: "line", PREDICTED: "predicted", WITHOUT_COSTS: "dotted"}
COLOURS = ("#1f6fb2", "#1a7f4b", "#c0392b", "#8a5a00")
TAIL_POINTS = 200


def report_of(points: Sequence[Point], costs: Costs, seed: int, options: Mapping[str, Any]) -> Report:
    """Return the report; its verdict depends on the lines."""
    lines = [line for point in points for line in _lines(point)]
    lost = sum(point.lost for point in points)
    lines.append(Line("", "jobs without a result", "", None, lost, limit="== 0"))
    lines += [Line("", f"load {point.load:g}: arrivals sent late, 99 %", "ms", None, point.lag_ms) for point in points]
    return Report(
        experiment="calibrate",
        question=QUESTION,
        seed=seed,
        options=options,
        lines=lines,
        variants={
            MEASURED: {"points": [_figures(point, "measured") for point in points]},
            PREDICTED: {"points": [_figures(point, "predicted") for point in points]},
            WITHOUT_COSTS: {"points": [_figures(point, "without_costs") for point in points]},
        },
        variant=WITH,
        unproven=[f"load {point.load:g}: no job completed" for point in points if not point.jobs],
        notes=_notes(points, costs),
        tables=[_costs_table(costs), _table(points)],
        pictures=[partial(_tails, points), partial(_job_by_job, points)] if any(p.jobs for p in points) else [],
        extra={
            "costs": {
                "link_ms": costs.link_ms,
                "script_ms": costs.script_ms,
                "loop_ms": costs.loop_ms,
                "service_ms": costs.service_ms,
                "accepted_ms": costs.accepted_ms,
                "explained_ms": costs.explained_ms,
                "turnaround_ms": costs.turnaround_ms,
            },
            "errors": [
                {"load": point.load, "figure": name, "error": found.error, "errors_by_round": found.errors}
                for point in points
                for name, found in point.figures.items()
            ],
        },
    )


def _lines(point: Point) -> list[Line]:
    return [_line(point, figure, point.figures.get(figure.name)) for figure in FIGURES]


def _line(point: Point, figure: Figure, found: Compared | None) -> Line:
    name = f"load {point.load:g}: {figure.name}, error of the prediction"
    most = figure.limit if point.load < LOAD_DEMANDED else None
    limit = "" if most is None else f"{-100 * most:g} .. {100 * most:g}"
    if found is None:
        return Line("", name, "%", None, None, limit)
    is_off = most is not None and not abs(found.error) <= most
    if is_off and not point.lag_ms <= LAG_MS_MAX:
        return Line("", name, "%", None, UNCLEAR_WORD, limit)
    return Line("", name, "%", None, 100 * found.error, limit)


def _figures(point: Point, side: str) -> dict[str, float]:
    return {"load": point.load, **{name: getattr(found, side) for name, found in point.figures.items()}}


def _table(points: Sequence[Point]) -> Table:
    units = {figure.name: figure.unit for figure in FIGURES}
    rows = [
        [
            f"{point.load:g}: {name}",
            shown(found.predicted, units[name]),
            shown(found.measured, units[name]),
            percent(found.error),
            f"{percent(min(found.errors))} … {percent(max(found.errors))}",
            shown(found.without_costs, units[name]),
        ]
        for point in points
        for name, found in point.figures.items()
    ]
    return Table(
        "Predicted and measured figures by load",
        ("load", PREDICTED, MEASURED, "error", "errors of single rounds", WITHOUT_COSTS),
        rows,
    )


def percent(part: float) -> str:
    """Return `part` as a percentage with its sign."""
    return f"{100 * part:+.1f} %"


def _costs_table(costs: Costs) -> Table:
    link, service = np.array(costs.link_ms), np.array(costs.service_ms)
    return Table(
        "Costs of this machine",
        ("cost", "mean", "median"),
        [
            ["link: one way between two processes", shown(float(link.mean()), "ms"), shown(_median(link), "ms")],
            ["script: a round trip to the store", shown(costs.script_ms, "ms"), ""],
            ["loop: a message that the scheduler reads", shown(costs.loop_ms, "ms"), ""],
            [
                "service: an attempt in addition to its work",
                shown(float(service.mean()), "ms"),
                shown(_median(service), "ms"),
            ],
            ["in total: from the end of a job to the next on its slot", shown(costs.turnaround_ms, "ms"), ""],
        ],
    )


def _median(values: Any) -> float:
    return float(np.median(values))


def _notes(points: Sequence[Point], costs: Costs) -> list[str]:
    jobs = sum(point.jobs for point in points)
    notes = [
        f"{jobs:,} jobs were sent to a real scheduler, each when it was due, and the same arrivals and works were "
        "simulated in virtual time; a wait lasts from the due time to the start of the work.",
        f"an independent check of the costs: a client receives the acceptance of its job after "
        f"{costs.accepted_ms:.2f} ms; computed from the costs: {costs.explained_ms:.2f} ms",
    ]
    late = [f"{point.load:g}" for point in points if not point.lag_ms <= LAG_MS_MAX]
    if late:
        notes.append(
            f"other processes used the machine at load {', '.join(late)}: arrivals were sent more than "
            f"{LAG_MS_MAX:g} ms late, so errors there prove nothing; repeat it on a quiet machine"
        )
    medians = [f"{point.load:g}" for point in points if _is_far_off(point.figures.get("wait, p50"))]
    if medians:
        notes.append(
            f"the median differs at load {', '.join(medians)}: at this load it lies between the jobs that find a free "
            "slot and those that wait, so that 1 % more waiting jobs change it by a whole wait"
        )
    beyond = [f"{point.load:g}" for point in points if point.load >= LOAD_DEMANDED]
    if beyond:
        notes.append(
            f"no limits apply at load {', '.join(beyond)}: near full load the wait amplifies errors of the costs"
        )
    return notes


def _is_far_off(found: Compared | None) -> bool:
    return found is not None and not abs(found.error) <= OFF_TOLD


def _tails(points: Sequence[Point]) -> Picture:
    """Share of jobs that wait longer than x: measured, simulated, and simulated without costs."""
    drawn = []
    for point, colour in zip(points, cycle(COLOURS), strict=False):
        for side, waits_ms in (
            (MEASURED, point.measured_ms), (PREDICTED, point.predicted_ms), (WITHOUT_COSTS, point.without_costs_ms),
        ):  # fmt: skip
            if len(waits_ms):
                share = np.geomspace(1.0, 1 / len(waits_ms), TAIL_POINTS)
                x = np.quantile(waits_ms, 1 - share)
                drawn.append(Curve(f"{point.load:g} {side}", x.tolist(), share.tolist(), "", STYLES[side], colour))
    return curves(
        "waits", "Share of the jobs that wait longer", "wait, ms", "share of the jobs", drawn,
        "Solid: measured. Dashed: predicted, with the costs of this machine. Dotted: predicted without costs.",
        y_scale="log",
    )  # fmt: skip


def _job_by_job(points: Sequence[Point]) -> Picture:
    """Predicted wait of each job over its measured wait."""
    figure, axes = canvas("Predicted wait of each job over its measured wait")
    greatest = 1.0
    for point, colour in zip(points, cycle(COLOURS), strict=False):
        axes.plot(
            point.measured_ms, point.predicted_ms, linestyle="", marker=".", markersize=2.5, alpha=0.5, color=colour,
            rasterized=True,  # thousands of points
            label=f"load {point.load:g}",
        )  # fmt: skip
        greatest = max(greatest, float(point.measured_ms.max(initial=0.0)), float(point.predicted_ms.max(initial=0.0)))
    axes.plot([0, greatest], [0, greatest], linestyle="--", color="#4a4a4a", linewidth=1)
    axes.set_xlabel("measured, ms")
    axes.set_ylabel("predicted, ms")
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    caption = "On the dashed line both are equal. Arrivals and works are the same in both."
    return Picture("job-by-job", "Predicted wait over measured wait of each job", caption, svg_of(figure))
