"""The pictures of a load report, drawn from the report only, in the style of the simulation's.

Those of memory are made by leakgate's charts, which the memory page also shows during the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._tally import DIGITS
from voxpool.loadtest.measuring._windows import latencies_of, requests_of
from voxpool.loadtest.report._records import Knee, LoadReport, Operation, Window
from voxpool.loadtest.verdict._knee import knee_note
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import Picture

PALETTE = ("#1f6fb2", "#c0392b", "#1a7f4b", "#8a5a00", "#6a3d9a", "#0f8b8d", "#b0578d", "#555f6b")
"""Colours that also differ in lightness, for readers who can't distinguish red and green."""
RESULT = "result"


def pictures_of(report: LoadReport) -> Iterator[Picture]:
    """Yield the pictures of a report."""
    windows = [window for window in report.windows if window.is_whole] or report.windows
    if windows:
        yield _rates(windows)
        yield _users(windows)
    if any(latencies_of(window, RESULT).total for window in windows):
        yield _latency_over_time(windows)
    if report.knee is not None and any(step.latency_s for step in report.knee.steps):
        yield _knee(report.knee)
    clients = [operation for operation in report.operations if operation.type != "NODE" and operation.latency_s]
    if clients:
        yield _distribution(clients)
    if any(one.failures for window in windows for one in window.operations.values()):
        yield _failures(windows)
    yield from _shares(report)


def _middle(window: Window) -> float:
    return window.start_s + window.length_s / 2


def _names(windows: list[Window]) -> list[str]:
    """Return the operations with the most requests, one per colour, by name."""
    totals: Counter[str] = Counter()
    for window in windows:
        for name, operation in window.operations.items():
            totals[name] += operation.requests
    return sorted(name for name, _ in totals.most_common(len(PALETTE)))


def _rates(windows: list[Window]) -> Picture:
    lines = [
        Curve(
            name,
            [_middle(window) for window in windows],
            [requests_of(window, name)[0] / window.length_s for window in windows],
            colour=PALETTE[place],
        )
        for place, name in enumerate(_names(windows))
    ]
    caption = f"Requests that ended, failures included, in windows of {windows[0].length_s:g} s."
    return curves("rates", "Requests by operation", "time, s", "requests a second", lines, caption)


def _users(windows: list[Window]) -> Picture:
    lines = [
        Curve(
            "users of all kinds",
            [window.start_s + window.length_s for window in windows],
            [float(window.users) for window in windows],
            colour=PALETTE[0],
        )
    ]
    return curves("users", "Users", "time, s", "users", lines, "Clients and nodes, at the end of each window.")


def _latency_over_time(windows: list[Window]) -> Picture:
    seen = [(window, latencies_of(window, RESULT)) for window in windows]
    seen = [(window, latencies) for window, latencies in seen if latencies.total]
    lines = []
    for place, (name, share) in enumerate((("p50", 0.5), ("p90", 0.9), ("p99", 0.99))):
        values = [latencies.quantiles_us([share])[0] / 1000 for _, latencies in seen]
        lines.append(Curve(name, [_middle(window) for window, _ in seen], values, colour=PALETTE[place]))
    caption = "From the intended start of a job to its result, so that a stall shows in all delayed jobs."
    return curves(
        "latency", "Latency of results over time", "time, s", "ms (logarithmic)", lines, caption, y_scale="log"
    )


def _knee(knee: Knee) -> Picture:
    steps = [step for step in knee.steps if step.latency_s is not None]
    rates = [step.rate_per_s for step in steps]
    lines = [
        Curve(name, rates, [1000 * getattr(step.latency_s, name) for step in steps], colour=PALETTE[place])
        for place, name in enumerate(("p50", "p99"))
    ]
    lines.append(Curve("limit of p99", [min(rates), max(rates)], [knee.limit_ms] * 2, style="predicted"))
    return curves(
        "knee", "Latency by load", "results a second", "ms (logarithmic)", lines, knee_note(knee), y_scale="log",
        markers=True,
    )  # fmt: skip


def _distribution(operations: list[Operation]) -> Picture:
    lines = []
    for place, operation in enumerate(operations[: len(PALETTE)]):
        histogram = Histogram.unpacked(operation.histogram)
        shares, values = _percentile_curve(histogram)
        lines.append(Curve(f"{operation.type} {operation.name}", shares, values, colour=PALETTE[place]))
    caption = (
        "The axis shows percentiles: at 100 one request in 100 was slower (p99), at 1,000 one in 1,000 (p99.9). "
        "Latencies are counted in HdrHistogram's buckets, within 0.1 %."
    )
    return curves(
        "distribution", "Distribution of latency", "one request in …", "ms (logarithmic)", lines, caption,
        y_scale="log", x_scale="log",
    )  # fmt: skip


def _percentile_curve(histogram: Histogram) -> tuple[list[float], list[float]]:
    """Return the points (1 / share of slower ones, ms), as in HdrHistogram's plots."""
    if histogram.digits != DIGITS:
        raise ValueError(f"a total has {DIGITS} digits")
    shares, values = [], []
    reached = 0
    for low, high, count in histogram.buckets():
        above = histogram.total - reached
        reached += count
        shares.append(histogram.total / above)
        values.append(max(low + high, 1) / 2 / 1000)
    return shares, values


def _failures(windows: list[Window]) -> Picture:
    failed: Counter[str] = Counter()
    for window in windows:
        for name, operation in window.operations.items():
            failed[name] += operation.failures
    named = [name for name, count in failed.most_common(len(PALETTE)) if count]
    lines = [
        Curve(
            name,
            [_middle(window) for window in windows],
            [requests_of(window, name)[1] / window.length_s for window in windows],
            colour=PALETTE[place],
        )
        for place, name in enumerate(named)
    ]
    return curves("failures", "Failures by operation", "time, s", "failures a second", lines, "Reasons: see the table.")


def _shares(report: LoadReport) -> Iterator[Picture]:
    if report.pools is None:
        return
    groups = [group for group in report.pools.groups if len(group.counts) > 1 and group.jobs]
    if not groups:
        return
    lines = []
    for place, group in enumerate(groups[: len(PALETTE)]):
        step = 100 / (len(group.counts) - 1)
        fair = group.jobs / group.nodes
        label = f"{group.nodes:,} nodes of {group.pair}"
        lines.append(
            Curve(label, [k * step for k in range(len(group.counts))], [count / fair for count in group.counts],
                  colour=PALETTE[place])
        )  # fmt: skip
    lines.append(Curve("fair share", [0, 100], [1, 1], style="predicted"))
    caption = "Nodes in the order of their number of jobs; 1 is an equal share."
    yield curves("shares", "Jobs a node", "nodes, %", "times its fair share", lines, caption)
