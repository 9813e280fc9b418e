"""The report of `voxpool-load leak-measured`: measured and simulated figures, verdicts, and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import numpy as np

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.judging.trend import Verdict, judge
from voxpool.loadtest.commands._prediction import Readings
from voxpool.sim.report.limits import UNCLEAR_WORD, Figure
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, WITHOUT, Line, Outcome, Picture, Report

QUESTION = "Do finished jobs stay in the memory of a real server, and does it behave as simulated?"
Points = tuple[list[float], list[float]]
AGREES = "-15 .. 15"
"""Accepted difference of a measured figure from the simulated one, in per cent of the latter."""


@dataclass(frozen=True)
class Side:
    """One server under the load: measured and simulated results."""

    name: str
    exit_code: int
    """Exit code of the load test, which ran with the gate."""
    finding: MemoryFinding
    """The gate's finding on the measured memory."""
    measured: Readings
    predicted: Readings
    seconds: float
    """Duration of the load."""
    failures: int
    """Requests of the load that failed."""
    generator: tuple[str, ...]
    """Limits of the generator that were reached, a sentence each; empty when it kept up."""
    settled_s: float
    """Time from which the clean-up removes jobs: retention and an interval."""


def bytes_a_job(readings: Readings, settled_s: float) -> float:
    """Return the growth of allocated bytes per ended job, by least squares; nan with too few readings."""
    settled = readings.since(settled_s)
    if len(settled) < 3 or settled.ended[-1] <= settled.ended[0]:
        return math.nan
    return float(np.polyfit(settled.ended, settled.allocated, 1)[0])


def finished(readings: Readings, settled_s: float, at_end: bool) -> float:
    """Return the finished jobs in the table: at the end, or the mean after each sweep; nan without a reading."""
    settled = readings.since(settled_s).finished
    if not settled:
        return math.nan
    return float(settled[-1]) if at_end else float(np.mean(settled))


def report(sides: Sequence[Side], options: Mapping[str, Any], seed: int, limit: float, variant: str) -> Report:
    """Return the report of the sides. `limit`: bytes per job that count as none."""
    of = {side.name: side for side in sides}
    return Report(
        experiment="leak-measured",
        question=QUESTION,
        seed=seed,
        options=options,
        lines=_lines(of, limit, demanded=variant != WITHOUT),
        variants={side.name: _run(side, limit) for side in sides},
        variant=variant,
        notes=_notes(sides, limit),
        pictures=[partial(table_picture, of), partial(allocated_picture, of)],
    )


def _lines(of: Mapping[str, Side], limit: float, demanded: bool) -> list[Line]:
    """Return the lines. With `demanded`, the side without must show the defect; agreement is not required of it."""
    agrees, none = (AGREES, "== 0") if demanded else ("", "")

    def both(figure: Any) -> tuple[Figure, Figure]:
        without, with_ = (figure(of[name]) if name in of else None for name in (WITHOUT, WITH))
        return without, with_

    jobs = {
        what: both(lambda side, what=what: finished(getattr(side, what), side.settled_s, side.name == WITHOUT))
        for what in ("measured", "predicted")
    }
    growth = {
        what: both(lambda side, what=what: bytes_a_job(getattr(side, what), side.settled_s))
        for what in ("measured", "predicted")
    }
    return [
        Line("M1", "jobs that ended under the load", "", *both(lambda side: max(side.measured.ended, default=0))),
        Line("M1", "requests that failed", "", *both(lambda side: side.failures), limit="== 0", shows=none),
        Line(
            "M1", "verdict on memory", "", *both(lambda side: side.finding.verdict),
            limit=f"== {Verdict.NO_LEAK}", shows=f"== {Verdict.LEAK}",
        ),
        Line("M1", "the same verdict on the simulation", "", *both(lambda side: _judged(side, limit))),
        Line("M1", "exit code of a load test with the gate", "", *both(_exit_code), "== 0", "== 1"),
        Line("M1", "finished jobs in the table (without: at the end; with: mean after a sweep)", "", *jobs["measured"]),
        Line("M1", "the same, simulated", "", *jobs["predicted"]),
        Line("M1", "finished jobs, measured above simulated", "%", *_off(jobs), limit=AGREES, shows=agrees),
        Line("M1", "growth of allocated bytes", "B a job", *growth["measured"]),
        Line("M1", "the same, simulated", "B a job", *growth["predicted"]),
        Line("M1", "bytes a job, measured above simulated", "%", _off(growth)[0], None, shows=agrees),
    ]  # fmt: skip


def _exit_code(side: Side) -> Figure:
    """Return the exit code; None for too little evidence, which is not compared with a limit."""
    return UNCLEAR_WORD if side.exit_code == Outcome.UNCLEAR.exit_code else side.exit_code


def _off(figures: Mapping[str, tuple[Figure, Figure]]) -> tuple[Figure, Figure]:
    """Return the relative difference of measured and simulated figures, in per cent, on both sides."""
    without, with_ = (_per_cent(m, p) for m, p in zip(figures["measured"], figures["predicted"], strict=True))
    return without, with_


def _per_cent(measured: Figure, predicted: Figure) -> Figure:
    if measured is None or predicted is None:
        return None
    return 100 * (float(measured) / float(predicted) - 1) if float(predicted) else math.nan


def _notes(sides: Sequence[Side], limit: float) -> list[str]:
    notes = [f"{side.name}: {side.finding.reason}; {side.seconds:.0f} s of load" for side in sides]
    notes.append(f"Growth of allocated bytes below {limit:g} bytes a job counts as none.")
    notes += [f"{side.name}: {note}" for side in sides for note in [*side.generator, *side.finding.notes]]
    return notes


def _run(side: Side, limit: float) -> dict[str, Any]:
    return {
        "seconds": side.seconds,
        "exit_code": side.exit_code,
        "failures": side.failures,
        "settled_s": side.settled_s,
        "finding": msgspec.to_builtins(side.finding),
        "simulated_verdict": _judged(side, limit),
        "measured": _points(side.measured, side.settled_s),
        "predicted": _points(side.predicted, side.settled_s),
    }


def _judged(side: Side, limit: float) -> str:
    """Return the verdict on the simulated allocated bytes, by the same code as for a real server."""
    readings = side.predicted.since(side.settled_s)
    if len(readings) < 2:
        return Verdict.UNCLEAR.value
    return judge(readings.allocated, max(1.0, limit * (readings.ended[-1] - readings.ended[0]))).verdict.value


def _points(readings: Readings, settled_s: float) -> list[dict[str, float | None]]:
    """Return the curves; `grown_bytes` are allocated bytes since the start of the clean-up."""
    settled = readings.since(settled_s)
    return [
        {
            "at_s": round(at_s, 3),
            "allocated_bytes": allocated,
            "grown_bytes": allocated - settled.allocated[0] if at_s >= settled_s else None,
            "finished": jobs,
            "ended": ended,
        }
        for at_s, allocated, jobs, ended in zip(
            readings.at_s, readings.allocated, readings.finished, readings.ended, strict=True
        )
    ]


def table_picture(of: Mapping[str, Side]) -> Picture:
    """Return the finished jobs in the table over time: two curves measured, two simulated."""
    drawn = _four(of, lambda readings, _: (readings.at_s, [float(max(1, jobs)) for jobs in readings.finished]))
    return curves(
        "resident_jobs",
        "Finished jobs in the table of a real server and of the simulated one, just after each sweep",
        "seconds of load",
        "finished jobs (logarithmic)",
        drawn,
        "The same scenario file for both. Solid: measured. Dotted: simulated. Without the clean-up all jobs stay.",
        y_scale="log",
    )


def allocated_picture(of: Mapping[str, Side]) -> Picture:
    """Return the allocated bytes by the jobs that have ended: two curves measured, two simulated."""

    def grown(readings: Readings, settled_s: float) -> Points:
        settled = readings.since(settled_s)
        first = settled.allocated[0] if settled.allocated else 0.0
        return [jobs / 1000 for jobs in settled.ended], [(allocated - first) / 1e6 for allocated in settled.allocated]

    return curves(
        "allocated_bytes",
        "Allocated bytes of a real and of the simulated server, since the start of the clean-up",
        "jobs ended, thousands",
        "MB",
        _four(of, grown),
        "Allocated = blocks of Python's allocator and of malloc that are not freed.",
    )


def _four(of: Mapping[str, Side], points: Callable[[Readings, float], Points]) -> list[Curve]:
    drawn = []
    for name, side in of.items():
        x, y = points(side.measured, side.settled_s)
        drawn.append(Curve(f"{name}, measured", x, y, name))
        x, y = points(side.predicted, side.settled_s)
        drawn.append(Curve(f"{name}, simulated", x, y, name, "dotted"))
    return drawn
