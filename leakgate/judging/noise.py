"""Measures the noise of allocated bytes in the report of a run, for simulated processes with realistic noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from voxpool.leakgate.judging.simulated import Floats, Setting
from voxpool.leakgate.judging.trend import SETTLING
from voxpool.leakgate.report.report import Curves, WatchReport

READINGS_MIN = 100
MEMORIES_S = np.geomspace(0.5, 30.0, 40)
"""Correlation times of the noise that are tried; the best fit is used."""
LAG_MAX = 1 / 8
"""Largest distance of compared readings, as a share of the run; beyond it the subtracted line matters."""


def measured_noise(path: Path) -> Setting:
    """Return the setting of the run whose report is at `path`: a WatchReport as JSON, or a report that has one in
    `memory`. Raises OSError, and ValueError when it has too little.
    """
    found: Any = msgspec.json.decode(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("this is no report")
    report = msgspec.convert(found.get("memory") or found, WatchReport)
    if report.curves is None:
        raise ValueError("nothing was read in that run")
    return noise_of(report.curves, report.source.interval_s, report.source.retention_s)


def noise_of(curves: Curves, interval_s: float = 0.0, retention_s: float = 0.0) -> Setting:
    """Return the setting with the noise of `curves`. Raises ValueError when they have too little.

    The noise is the deviation of allocated bytes from a line over the work and from the effect of kept work. It is
    split into a part with finite correlation time and a random walk, by the differences of readings over the time
    between them.
    """
    columns = (curves.t_s, curves.work, curves.kept, curves.allocated_bytes)
    known = [
        (t, work, kept or 0, allocated)
        for t, work, kept, allocated in zip(*columns, strict=True)
        if allocated is not None
    ]
    known = [one for one in known if one[0] >= curves.t_s[0] + SETTLING * (curves.t_s[-1] - curves.t_s[0])]
    if len(known) < READINGS_MIN:
        raise ValueError(f"{len(known)} readings of allocated bytes after settling, {READINGS_MIN} are needed")
    t, work, kept, allocated = np.array(known, dtype=float).T
    explained = np.column_stack([np.ones_like(t), work, kept] if np.ptp(kept) else [np.ones_like(t), work])
    weights = np.linalg.lstsq(explained, allocated, rcond=None)[0]
    sd, memory_s, wander = _parts(t, allocated - explained @ weights)
    return Setting(
        rate=float((work[-1] - work[0]) / (t[-1] - t[0])),
        every_s=float(np.median(np.diff(t))),
        interval_s=interval_s,
        retention_s=retention_s or Setting().retention_s,
        noise_bytes=sd,
        noise_memory_s=memory_s,
        wander_bytes=wander,
        kept_bytes=max(0.0, float(weights[2])) if np.ptp(kept) else 0.0,
    )


def _parts(t: Floats, rest: Floats) -> tuple[float, float, float]:
    """Return standard deviation and correlation time of the first part, and the step of the walk.

    The mean square of a difference over a time d is 2 sd^2 (1 - exp(-d / memory)) + step^2 d.
    """
    from scipy.optimize import nnls

    lags = np.unique(np.geomspace(1, max(2, int(LAG_MAX * len(t))), 30).astype(int))
    apart_s = np.array([np.mean(t[lag:] - t[:-lag]) for lag in lags])
    squares = np.array([np.mean((rest[lag:] - rest[:-lag]) ** 2) for lag in lags])
    squares = np.maximum(squares, 1.0)
    best: tuple[float, float, float, float] | None = None
    for memory_s in MEMORIES_S:
        model = np.column_stack([2 * (1 - np.exp(-apart_s / memory_s)), apart_s])
        found, error = nnls(model / squares[:, None], np.ones(len(squares)))
        if best is None or error < best[0]:
            best = float(error), float(np.sqrt(found[0])), float(memory_s), float(np.sqrt(found[1]))
    assert best is not None
    return best[1:]
