"""Confidence intervals of the figures of a run, by resampling blocks of its windows of time.

The circular block bootstrap (Politis and Romano 1992): a resample consists of blocks of consecutive windows, drawn with
replacement, where the first window follows the last. A block is as long as the correlation of windows
(leakgate/judging/trend.py), so that a slow half minute counts as one event and not as six.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxpool.leakgate.judging.trend import block_length
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._latencies import WINDOW_DIGITS
from voxpool.loadtest.measuring._windows import ended_of, latencies_of
from voxpool.loadtest.report._records import LoadReport, Window

RESAMPLES = 2000
WINDOWS_MIN = 12
"""Smallest number of windows whose spread is usable."""
FULL_SHARE = 0.99
"""Windows count from the first one with this share of the maximum number of users; before it, the load rises."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Resampled:
    """A figure of the run, and of each resample."""

    figure: float
    resamples: Floats


def full_load(report: LoadReport) -> list[Window]:
    """Return the whole windows with the maximum number of users."""
    windows = [window for window in report.windows if window.is_whole]
    most = max((window.users for window in windows), default=0)
    full = [place for place, window in enumerate(windows) if window.users >= FULL_SHARE * most]
    # The first one is left out: users started within it.
    return windows[full[0] + 1 : full[-1] + 1] if full else []


def block_of(windows: Sequence[Window], operation: str, pairs: Sequence[Window] | None = None) -> int:
    """Return the number of windows in a block: the length of their correlation, at most a quarter of all.

    With `pairs`, the windows of the other run at the same times, the correlation of the differences is used.
    """
    means, totals = _series(windows, operation)
    if pairs is not None:
        other_means, other_totals = _series(pairs, operation)
        means, totals = means - other_means, totals - other_totals
    return max(1, min(max(block_length(means), block_length(totals)), len(windows) // 4))


def _series(windows: Sequence[Window], operation: str) -> tuple[Floats, Floats]:
    """Return the mean latency (us; 0 without results) and the number of results of each window."""
    latencies = [latencies_of(window, operation) for window in windows]
    means = np.array([histogram.mean_us() if histogram.total else 0.0 for histogram in latencies])
    return means, np.array([histogram.total for histogram in latencies], dtype=float)


def weights_of(count: int, block: int, rng: np.random.Generator) -> Floats:
    """Return RESAMPLES rows with the number of times that each of `count` windows is in a resample."""
    starts = rng.integers(0, count, (RESAMPLES, -(-count // block)))
    places = (starts[:, :, None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :count] % count
    weights = np.zeros((RESAMPLES, count))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], places), 1.0)
    return weights


def resample(windows: Sequence[Window], operation: str, weights: Floats) -> dict[str, Resampled]:
    """Return rate (a second, without failures), mean, p50, p90, p99 (in s) and failures (share) of `operation`.

    `weights` has a row for each resample and a column for each of `windows`. Latencies are left out when there are
    none in one of the resamples.
    """
    requests = np.array([ended_of(window.operations, operation) for window in windows], dtype=float)
    latencies = [latencies_of(window, operation) for window in windows]
    seconds = np.array([window.length_s for window in windows])
    sums = np.array([histogram.total_us for histogram in latencies], dtype=float)
    totals = np.array([histogram.total for histogram in latencies], dtype=float)
    # The first row is the run itself.
    weights = np.vstack([np.ones(len(windows)), weights])
    asked, failed = (weights @ requests[:, 0]), (weights @ requests[:, 1])
    found = {"rate": (asked - failed) / (weights @ seconds)}
    count = weights @ totals
    if np.all(count > 0):
        found["mean"] = (weights @ sums) / count / 1e6
        found.update(_quantiles(weights, latencies))
    found["failures"] = failed / np.maximum(asked, 1)
    return {name: Resampled(float(row[0]), row[1:]) for name, row in found.items()}


def _quantiles(weights: Floats, latencies: Sequence[Histogram]) -> dict[str, Floats]:
    """Return for each row of weights the quantiles, in s, of the weighted windows."""
    everything = Histogram.merged(latencies, WINDOW_DIGITS)
    columns = {index: place for place, index in enumerate(sorted(everything.counts))}
    middles = np.array([(low + high) / 2 for low, high, _ in everything.buckets()]) / 1e6
    counts = np.zeros((len(latencies), len(columns)))
    for row, histogram in enumerate(latencies):
        for index, number in histogram.counts.items():
            counts[row, columns[index]] = number
    reached = np.cumsum(weights @ counts, axis=1)
    wanted = reached[:, -1]
    # argmax finds the first bucket that reaches the share.
    return {name: middles[np.argmax(reached >= share * wanted[:, None], axis=1)] for name, share in QUANTILES.items()}


def typical(
    a: Sequence[Window], b: Sequence[Window], operation: str, weights_a: Floats, weights_b: Floats | None
) -> tuple[Resampled, Resampled] | None:
    """Return the mean latency (s) of a typical window of `a` and of `b`: the mean over the middle half of the windows.

    A burst on the machine affects few windows and hardly changes it. Logarithms are averaged, so that the change is a
    share. Without `weights_b` the windows are pairs, and the middle half is that of their differences. None when a
    window has no results.
    """
    in_a, in_b = (_series(windows, operation)[0] / 1e6 for windows in (a, b))
    if not (np.all(in_a > 0) and np.all(in_b > 0)):
        return None
    weights_a = np.vstack([np.ones(len(a)), weights_a])
    rows_a = np.exp(_middle_mean(np.log(in_a), weights_a))
    if weights_b is None:
        rows_b = rows_a * np.exp(_middle_mean(np.log(in_b / in_a), weights_a))
    else:
        rows_b = np.exp(_middle_mean(np.log(in_b), np.vstack([np.ones(len(b)), weights_b])))
    return Resampled(float(rows_a[0]), rows_a[1:]), Resampled(float(rows_b[0]), rows_b[1:])


def _middle_mean(values: Floats, weights: Floats) -> Floats:
    """Return for each row of weights the mean of the values between its quartiles."""
    order = np.argsort(values)
    reached = np.cumsum(weights[:, order], axis=1)
    total = reached[:, -1:]
    inside = np.diff(np.clip(reached, total / 4, total * 3 / 4), axis=1, prepend=total / 4)
    middle: Floats = inside @ values[order] / (total[:, 0] / 2)
    return middle
