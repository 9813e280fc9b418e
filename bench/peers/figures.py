"""From turns to a table: medians over rounds, and ratios with their bootstrap intervals."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.peers.turn import Phase, Turn

LEVEL = 0.95
RESAMPLES = 5_000


@dataclass(frozen=True)
class Line:
    """The figures of one subject at one number of jobs in flight: medians of its clean rounds."""

    subject: str
    in_flight: int
    rounds: int
    clean: int
    """Rounds that other processes did not disturb; the medians are of these, or of all when there is none."""
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    store_bytes_a_job: float | None


@dataclass(frozen=True)
class Ratio:
    """The ratio of two medians, with its bootstrap interval at 95 %; no interval with fewer than three rounds."""

    ratio: float
    low: float | None
    high: float | None
    rounds: int

    def __str__(self) -> str:
        interval = "" if self.low is None else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.ratio:.2f}{interval}"


def phases(turns: Iterable[Turn], subject: str, in_flight: int) -> list[Phase]:
    """Return the phases that count: the clean ones, or all when none is clean."""
    found = [
        phase for turn in turns if turn.subject == subject for phase in turn.phases if phase.in_flight == in_flight
    ]
    return [phase for phase in found if phase.is_clean] or found


def line(turns: Sequence[Turn], subject: str, in_flight: int) -> Line | None:
    """Return the figures of a subject; None when none of its turns succeeded."""
    counted = phases(turns, subject, in_flight)
    if not counted:
        return None
    grown = [turn.store_bytes_a_job for turn in turns if turn.subject == subject and turn.store_bytes_a_job is not None]
    rounds = sum(turn.subject == subject for turn in turns)
    return Line(
        subject,
        in_flight,
        rounds,
        sum(phase.is_clean for phase in counted),
        statistics.median(phase.per_s for phase in counted),
        statistics.median(phase.p50_ms for phase in counted),
        statistics.median(phase.p99_ms for phase in counted),
        {role: statistics.median(phase.cpu_us[role] for phase in counted) for role in counted[0].cpu_us},
        statistics.median(grown) if grown else None,
    )


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Return the ratio of the medians of two samples."""
    middle = float(np.median(ours) / np.median(theirs))
    if min(len(ours), len(theirs)) < 3:
        return Ratio(middle, None, None, min(len(ours), len(theirs)))
    found = stats.bootstrap(
        (np.array(ours), np.array(theirs)),
        lambda one, other, axis=-1: np.median(one, axis=axis) / np.median(other, axis=axis),
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    interval = found.confidence_interval
    return Ratio(middle, float(interval.low), float(interval.high), min(len(ours), len(theirs)))


def speed_ratio(turns: Sequence[Turn], ours: str, theirs: str, in_flight: int) -> Ratio | None:
    """Return how many times as many jobs a second `ours` does; None when one of them has no figures."""
    samples = [[phase.per_s for phase in phases(turns, name, in_flight)] for name in (ours, theirs)]
    return ratio(*samples) if all(samples) else None


def best(turns: Sequence[Turn], names: Iterable[str], in_flight: int) -> Line | None:
    """Return the fastest of the subjects named; with one job in flight that with the shortest median."""
    lines = [found for name in names if (found := line(turns, name, in_flight)) is not None]
    if not lines:
        return None
    return min(lines, key=lambda one: one.p50_ms) if in_flight == 1 else max(lines, key=lambda one: one.per_s)
