"""Finds the knee of a run in steps: the highest load at which results still arrive in time.

Pure: it reads the windows of a report. A window counts for a step when it has the step's users at both of its ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._latencies import WINDOW_DIGITS
from voxpool.loadtest.measuring._windows import RESULT, ended_of, latencies_of
from voxpool.loadtest.report._records import Knee, Step, Window, spread_of
from voxpool.sim.report.report import Check


def knee_of(windows: Sequence[Window], *, standing: int, knee_ms: float, failures_max: float) -> Knee:
    """Return the steps of a run, and the last good one before the first bad one.

    `standing` users (nodes) are present all the time and not part of a step. A step is good when the p99 of its results
    is at most `knee_ms` and at most a share `failures_max` of them failed.
    """
    levels: dict[int, list[Window]] = {}
    for before, window in pairwise(windows):
        if window.is_whole and window.users == before.users > standing:
            levels.setdefault(window.users - standing, []).append(window)
    steps = [_step(users, levels[users], knee_ms, failures_max) for users in sorted(levels)]
    good = 0
    while good < len(steps) and steps[good].is_good:
        good += 1
    return Knee(steps=steps, limit_ms=knee_ms, knee=good - 1 if good else None, is_reached=good < len(steps))


def knee_check(knee: Knee) -> tuple[Check, str]:
    """Return the check of a run that looks for the knee, and why it is unclear, "" = it is not."""
    name, limit = "users at the knee", "> 0"
    if not knee.steps:
        return Check(name, False, None, limit, False), "the knee: no step lasted long enough, use a longer --step-s"
    users = 0 if knee.knee is None else knee.steps[knee.knee].users
    if not knee.is_reached:
        return Check(name, False, users, limit, False), f"the knee is above {users:,} users: use a higher -u"
    return Check(name, users > 0, users, limit), ""


def knee_note(knee: Knee) -> str:
    """Return a sentence about the knee."""
    if knee.knee is None:
        return f"No step had a p99 of {knee.limit_ms:g} ms or less without failures: the knee is below the first."
    step = knee.steps[knee.knee]
    p99 = "-" if step.latency_s is None else f"{step.latency_s.p99 * 1000:,.0f} ms"
    found = "The knee" if knee.is_reached else "The knee was not reached; the last step"
    return f"{found}: {step.users:,} client users, {step.rate_per_s:,.1f} results a second, p99 {p99}."


def counted_until(windows: Sequence[Window], knee: Knee, standing: int) -> list[Window]:
    """Return the windows up to the end of the last good step: the load after it is intentionally too high."""
    if knee.knee is None or not knee.is_reached:
        return list(windows)
    last = knee.steps[knee.knee].users + standing
    kept = []
    for window in windows:
        if window.users > last:
            break
        kept.append(window)
    return kept


def _step(users: int, windows: Sequence[Window], knee_ms: float, failures_max: float) -> Step:
    counts = [ended_of(window.operations) for window in windows]
    requests, failures = sum(count for count, _ in counts), sum(failed for _, failed in counts)
    seconds = sum(window.length_s for window in windows)
    latency_s = spread_of(Histogram.merged((latencies_of(window, RESULT) for window in windows), WINDOW_DIGITS))
    in_time = latency_s is not None and latency_s.p99 * 1000 <= knee_ms
    return Step(
        users=users,
        seconds=seconds,
        rate_per_s=round((requests - failures) / seconds, 3),
        failures=failures,
        latency_s=latency_s,
        is_good=in_time and failures <= failures_max * requests,
    )
