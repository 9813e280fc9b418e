"""Checks the expectations of a load run against its measurements.

Pure. The figure itself decides when the sample is large enough for its limit, that is when at least three results are
expected on each side of it (rule of three: p99 needs 300 results, p99.9 3,000, `failures<0.1%` 3,000). In a smaller
sample the 95 % bounds decide: an expectation holds or is broken only when both of them say so, else it is unclear.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._windows import OTHERS, RESULT, Counted, ended_of, merged, operation_in, operations_of
from voxpool.loadtest.report._records import Arrivals, Jobs
from voxpool.sim.report.limits import RANGE, Limit, shown
from voxpool.sim.report.report import Check
from voxpool.sim.scenario.expect import (
    FAILURES,
    KEY,
    OTHER_FAILURES,
    QUANTILES,
    RATE,
    Expectation,
    key_figure,
    parse_expectation,
)

DEFAULTS = tuple(map(parse_expectation, (f"{FAILURES}<=0%", f"{OTHER_FAILURES}<=0%")))
"""Default expectations of each run; a given one for the same figure replaces them."""
SIDE_MIN = 3
"""Expected number of results on each side of a share or quantile from which on the figure itself decides."""
COUNT_MIN = 30
"""Number of results from which on a mean or a rate itself decides."""
CONFIDENCE = 0.95
"""Confidence of each bound of a small sample."""
MEMORY = "memory."


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements that expectations are checked against."""

    operations: Mapping[str, Counted]
    """"TYPE name" -> counts of the run, or of the windows that count."""
    digits: int
    """Significant digits of their histograms."""
    seconds: float
    """Duration of the measurement."""
    jobs: Jobs | None = None
    arrivals: Arrivals | None = None
    memory: WatchReport | None = None


class _Found(NamedTuple):
    """A figure in the unit of measured figures, with its bounds."""

    figure: float | None
    low: float | None = None
    high: float | None = None
    """The bounds, when they decide instead of the figure."""
    note: str = ""
    """The basis of the figure."""


def check_all(expectations: Iterable[Expectation], measured: Measured) -> list[Check]:
    """Return a check for each of `expectations`; all of them are about figures of a load run."""
    return [_check(one, measured) for one in expectations]


def share_that_may_fail(expectations: Iterable[Expectation]) -> float:
    """Return the largest share of failures that the expectations allow; 0 without one."""
    allowed = [max(one.bound.bounds) for one in expectations if one.loaded == FAILURES]
    return min(allowed, default=0.0)


def _check(expectation: Expectation, measured: Measured) -> Check:
    bound = expectation.bound
    found = _find(expectation.loaded, bound, measured)
    verdict = _verdict(found, bound)
    figure = None if found.figure is None else round(bound.in_unit(found.figure), 6)
    return Check(
        expectation.loaded, verdict is True, figure, bound.text, verdict is not None, unit=bound.unit, note=found.note
    )


def _verdict(found: _Found, bound: Limit) -> bool | None:
    """Return whether the limit is kept; None when that is unknown."""
    if found.low is None or found.high is None:
        return bound.keeps(found.figure)
    kept = bound.keeps(found.low), bound.keeps(found.high)
    first, last = bound.bounds
    if bound.sign in (RANGE, "=="):
        outside = found.high < first or found.low > last
        return False if outside else True if kept == (True, True) and bound.sign == RANGE else None
    if bound.sign == "!=":
        return True if found.high < first or found.low > last else None
    return kept[0] if kept[0] == kept[1] else None


def _find(name: str, bound: Limit, measured: Measured) -> _Found:
    if name.startswith("jobs.") and measured.jobs is not None:
        return _count(getattr(measured.jobs, name.partition(".")[2]), measured.jobs.submitted, bound, "submitted jobs")
    if name.startswith("arrivals."):
        if measured.arrivals is None or not measured.arrivals.intended:
            return _Found(None, note="no arrivals")
        count = getattr(measured.arrivals, name.partition(".")[2])
        return _count(count, measured.arrivals.intended, bound, "arrivals")
    if name.startswith(MEMORY):
        return _memory(name, measured.memory)
    if name == OTHER_FAILURES:
        requests, failures = ended_of(measured.operations, OTHERS)
        # A run over HTTP with other nodes has no other requests: none of them failed.
        return (
            _share(failures, requests, bound, "other requests") if requests else _Found(0.0, note="no other requests")
        )
    path, figure = _parts(name)
    requests, failures = ended_of(measured.operations, path)
    if figure == FAILURES:
        of_jobs = operation_in(path) == RESULT or path.startswith(f"{KEY.upper()} ")
        return _share(failures, requests, bound, "results" if of_jobs else "requests")
    if figure == RATE:
        return _rate(requests - failures, measured.seconds)
    return _latency(figure, merged(operations_of(measured.operations, path), measured.digits), bound)


def _parts(name: str) -> tuple[str, str]:
    """Return the operation, as `ended_of` takes it, and the figure: "ws.submit.p99.9" is "WS submit" and "p99.9"."""
    if name in (FAILURES, RATE):
        return RESULT, name
    first, _, rest = name.partition(".")
    if first == KEY:
        key, figure = key_figure(name)
        return f"{KEY.upper()} {key}", figure
    if first in ("http", "ws", "node"):
        operation, _, figure = rest.partition(".")
        return f"{first.upper()} {operation}", figure
    return first, rest


def _count(count: int, total: int, bound: Limit, of: str) -> _Found:
    """Return the figure of a count, which is exact; None when nothing was counted."""
    if not total:
        return _Found(None, note=f"no {of}")
    return _share(count, total, bound, of) if bound.unit == "%" else _Found(count)


def _share(count: int, total: int, bound: Limit, of: str) -> _Found:
    if not total:
        return _Found(None, note=f"no {of}")
    note = f"{count:,} of {total:,} {of}"
    ends = [min(end, 1 - end) for end in bound.bounds if 0 < end < 1]
    needed = math.ceil(round(SIDE_MIN / min(ends), 6)) if ends else 1
    if total >= needed:
        return _Found(count / total, note=note)
    low, high = share_bounds(count, total)
    return _Found(count / total, low, high, f"{note}, {needed:,} are needed to decide by the share itself")


def _rate(count: int, seconds: float) -> _Found:
    if seconds <= 0:
        return _Found(None, note="no time was measured")
    note = f"{count:,} in {shown(round(seconds, 1), 's')}"
    if count >= COUNT_MIN:
        return _Found(count / seconds, note=note)
    # The bounds of a Poisson count (Garwood).
    from scipy.special import gammaincinv  # scipy takes 0.3 s to import, and large samples do not need it

    low = float(gammaincinv(count, 1 - CONFIDENCE)) if count else 0.0
    high = float(gammaincinv(count + 1, CONFIDENCE))
    return _Found(count / seconds, low / seconds, high / seconds, f"{note}, {COUNT_MIN} are needed")


def _latency(figure: str, histogram: Histogram, bound: Limit) -> _Found:
    total = histogram.total
    if not total:
        return _Found(None, note="no results without a failure")
    if figure == "max":
        return _Found(histogram.highest_us / 1e6)
    if figure == "mean":
        mean_s = histogram.mean_us() / 1e6
        if total >= COUNT_MIN:
            return _Found(mean_s)
        return _Found(mean_s, *_mean_bounds(histogram), f"{total:,} results, {COUNT_MIN} are needed")
    share = QUANTILES[figure]
    value_s = histogram.quantiles_us([share])[0] / 1e6
    needed = math.ceil(round(SIDE_MIN / min(share, 1 - share), 6))
    if total >= needed:
        return _Found(value_s)
    return _Found(value_s, *quantile_bounds(histogram, share), f"{total:,} results, {needed:,} are needed")


def _memory(name: str, memory: WatchReport | None) -> _Found:
    if memory is None:
        return _Found(None, note="memory was not watched")
    if name == "memory.rss":
        curves = memory.curves
        return _Found(max(curves.rss_bytes), note="the maximum") if curves else _Found(None, note="nothing was read")
    allocated = memory.finding.allocated
    if allocated is None or allocated.a_unit is None:
        return _Found(None, note=memory.finding.reason)
    return _Found(
        allocated.a_unit, allocated.low, allocated.high, f"{shown(allocated.low)} to {shown(allocated.high)} B"
    )


def share_bounds(count: int, total: int) -> tuple[float, float]:
    """Return the bounds of a share with `count` of `total` observed (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(count, total - count + 1, 1 - CONFIDENCE)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, CONFIDENCE)) if count < total else 1.0
    return low, high


def quantile_bounds(histogram: Histogram, share: float) -> tuple[float, float]:
    """Return the bounds of a quantile in s, from order statistics, for any distribution.

    The number of n results below the quantile is binomial; without a result far enough out, a bound is 0 or infinite.
    """
    from scipy.special import bdtr

    total = histogram.total
    at_most = bdtr(np.arange(total + 1), total, share)  # P(at most k of them lie below)
    below = int(np.sum(at_most <= 1 - CONFIDENCE))  # at least this many results are below it
    above = int(np.sum(at_most < CONFIDENCE)) + 1
    low = histogram.quantiles_us([(below - 0.5) / total])[0] / 1e6 if below else 0.0
    high = histogram.quantiles_us([(above - 0.5) / total])[0] / 1e6 if above <= total else math.inf
    return low, high


def _mean_bounds(histogram: Histogram) -> tuple[float, float]:
    """Return Student's bounds of the mean, in s; the variance is computed from the buckets."""
    from scipy.special import stdtrit

    total, mean = histogram.total, histogram.mean_us()
    if total < 2:
        return 0.0, math.inf
    squares = sum(count * ((low + high) / 2 - mean) ** 2 for low, high, count in histogram.buckets())
    room = float(stdtrit(total - 1, CONFIDENCE)) * math.sqrt(squares / (total - 1) / total)
    return max(0.0, mean - room) / 1e6, (mean + room) / 1e6
