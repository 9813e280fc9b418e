"""Compares predicted and measured figures by load: their difference, and how it varies between rounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxpool.sim.calibrate.measured import Measured
from voxpool.sim.calibrate.play import Predicted

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trio:
    """One run in three versions: measured, simulated with the costs of the machine, and simulated without costs."""

    measured: Measured
    predicted: Predicted
    without_costs: Predicted


@dataclass(frozen=True)
class Compared:
    """One figure at one load; the unit is that of `Figure`."""

    measured: float
    predicted: float
    without_costs: float
    errors: tuple[float, ...]
    """The error of each single round; their spread shows the random variation of `error`."""

    @property
    def error(self) -> float:
        """The relative error of the prediction: (predicted - measured) / measured."""
        return error_of(self.predicted, self.measured)


@dataclass(frozen=True)
class Point:
    """One load: waits of all rounds together, in ms, and the figures by name."""

    load: float
    jobs: int
    lost: int
    lag_ms: float
    """99th percentile of the delay of arrivals; more than a few ms means that other processes used the machine."""
    measured_ms: Floats
    predicted_ms: Floats
    without_costs_ms: Floats
    figures: dict[str, Compared]


@dataclass(frozen=True)
class Figure:
    """A compared figure, computed from the waits and sojourns (ms, in the order of the jobs) or from the job table."""

    name: str
    unit: str
    of: Callable[[Floats, Floats, float], float]
    limit: float | None
    """Largest accepted relative error; None = the figure is only shown."""


FIGURES = (
    Figure("wait, mean", "ms", lambda wait, sojourn, resident: float(wait.mean()), 0.10),
    Figure("wait, p50", "ms", lambda wait, sojourn, resident: float(np.percentile(wait, 50)), None),
    Figure("wait, p90", "ms", lambda wait, sojourn, resident: float(np.percentile(wait, 90)), None),
    Figure("wait, p99", "ms", lambda wait, sojourn, resident: float(np.percentile(wait, 99)), 0.20),
    Figure("sojourn, mean", "ms", lambda wait, sojourn, resident: float(sojourn.mean()), 0.10),
    Figure("resident jobs, mean", "", lambda wait, sojourn, resident: resident, 0.10),
)


def error_of(predicted: float, measured: float) -> float:
    """Return the relative error of `predicted`; nan when nothing was measured."""
    return predicted / measured - 1 if measured > 0 else math.nan


def compare(trios: Sequence[Trio]) -> list[Point]:
    """Return a point for each load in `trios`, in rising order. A load at which no job completed has no figures."""
    loads = sorted({trio.measured.run.load for trio in trios})
    return [_point(load, [trio for trio in trios if trio.measured.run.load == load]) for load in loads]


def _point(load: float, rounds: Sequence[Trio]) -> Point:
    waits = [_waits(trio) for trio in rounds]
    sojourns = [_sojourns(trio) for trio in rounds]
    residents = [
        (float(np.mean(trio.measured.resident or [math.nan])), trio.predicted.resident, trio.without_costs.resident)
        for trio in rounds
    ]
    wait, sojourn = np.concatenate(waits, axis=1), np.concatenate(sojourns, axis=1)
    resident = np.array(residents).mean(axis=0)
    figures = {}
    for figure in FIGURES if wait.size else ():
        measured, predicted, without = (figure.of(wait[i], sojourn[i], float(resident[i])) for i in range(3))
        errors = tuple(
            error_of(figure.of(own[1], away[1], table[1]), figure.of(own[0], away[0], table[0]))
            for own, away, table in zip(waits, sojourns, residents, strict=True)
            if own.size
        )
        figures[figure.name] = Compared(measured, predicted, without, errors)
    records = [record for trio in rounds for record in trio.measured.records]
    lags = [1000 * (record.sent_s - record.due_s) for record in records]
    return Point(
        load=load,
        jobs=len(records),
        lost=sum(sum(trio.measured.lost.values()) for trio in rounds),
        lag_ms=float(np.percentile(lags, 99)) if lags else math.nan,
        measured_ms=wait[0],
        predicted_ms=wait[1],
        without_costs_ms=wait[2],
        figures=figures,
    )


def _waits(trio: Trio) -> Floats:
    """Return three rows of waits from submit to start of work, in ms: measured, predicted, predicted without costs."""
    records = trio.measured.records
    return 1000 * np.array(
        [
            [record.started_s - record.due_s for record in records],
            [trio.predicted.wait_s[record.request_id] for record in records],
            [trio.without_costs.wait_s[record.request_id] for record in records],
        ]
    )


def _sojourns(trio: Trio) -> Floats:
    records = trio.measured.records
    return 1000 * np.array(
        [
            [record.received_s - record.due_s for record in records],
            [trio.predicted.sojourn_s[record.request_id] for record in records],
            [trio.without_costs.sojourn_s[record.request_id] for record in records],
        ]
    )
