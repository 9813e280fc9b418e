"""Makes a failing case smaller while it still fails in the same way: less time, fewer faults, nodes, jobs, settings.

Greedy delta debugging: each candidate is one cut of the current case; the first that still shows the sign is taken, and
all cuts are tried again, until none succeeds. The seed stays the same, so its sub-seeds keep the remaining streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.replay.case import Case, Found, run_case
from voxpool.sim.scenario.scenario import Fault, Scenario, Traffic, check_scenario
from voxpool.sim.virtual_time.stopwatch import Stopwatch

RUNS_MAX = 300
SECONDS_MAX = 60.0
DURATION_LEAST_S = 1.0
T = TypeVar("T")
replace = msgspec.structs.replace


@dataclass(frozen=True)
class Shrunk:
    """The smallest case found, its failure, and whether every cut was tried (else a bound was reached)."""

    case: Case
    found: Found
    runs: int
    is_smallest: bool


def shrink(
    case: Case,
    found: Found,
    *,
    runs_max: int = RUNS_MAX,
    seconds_max: float = SECONDS_MAX,
    progress: Callable[[float], None] | None = None,
) -> Shrunk:
    """Return the smallest case that shows the first sign of `found`, within the limits of runs and of time."""
    sign = found.signs[0]
    watch = Stopwatch()
    runs = 0
    while True:
        for smaller in cuts(case.scenario, found.first_s):
            if runs >= runs_max or watch.seconds() >= seconds_max:
                return Shrunk(case, found, runs, is_smallest=False)
            runs += 1
            if progress is not None:
                progress(max(runs / runs_max, watch.seconds() / seconds_max))
            candidate = replace(case, scenario=smaller)
            outcome, _ = run_case(candidate)
            if sign in outcome.signs:
                case, found = candidate, outcome
                break
        else:
            return Shrunk(case, found, runs, is_smallest=True)


def cuts(scenario: Scenario, failed_at_s: float | None = None) -> Iterator[Scenario]:
    """Yield `scenario` after each possible cut, the largest cuts first; only valid scenarios."""
    for cut in _all_cuts(scenario, failed_at_s):
        try:
            check_scenario(cut, "shrunk")
        except ConfigError:
            continue  # invalid, such as a mean size above a bound that was cut
        yield cut


def _all_cuts(scenario: Scenario, failed_at_s: float | None) -> Iterator[Scenario]:
    for duration_s in _durations(scenario.duration_s, failed_at_s):
        yield _until(scenario, duration_s)
    for name in ("faults", "traffic", "nodes"):
        for fewer in _without_one(getattr(scenario, name)):
            if fewer or name != "nodes":
                yield replace(scenario, **{name: fewer})
    for group in _changed(scenario.nodes, lambda nodes: _halved(nodes, "count", 1) + _halved(nodes, "slots", 1)):
        yield replace(scenario, nodes=group)
    for streams in _changed(scenario.traffic, _calmer):
        yield replace(scenario, traffic=streams)
    for faults in _changed(scenario.faults, lambda fault: _rarer(fault, scenario.duration_s)):
        yield replace(scenario, faults=faults)
    if scenario.links.delay_ms:
        yield replace(scenario, links=replace(scenario.links, delay_ms=0.0))
    if scenario.store.delay_ms:
        yield replace(scenario, store=replace(scenario.store, delay_ms=0.0))
    if scenario.service.overhead_ms:
        yield replace(scenario, service=replace(scenario.service, overhead_ms=0.0))
    if scenario.loop.message_ms:
        yield replace(scenario, loop=replace(scenario.loop, message_ms=0.0))
    for key in scenario.settings:
        yield replace(scenario, settings={other: value for other, value in scenario.settings.items() if other != key})
    if scenario.expect:
        for key in scenario.expect:
            yield replace(scenario, expect={other: text for other, text in scenario.expect.items() if other != key})


def _durations(duration_s: float, failed_at_s: float | None) -> list[float]:
    """Return shorter durations of traffic: just after the failure, a half, nine tenths."""
    wanted = [duration_s / 2, 0.9 * duration_s]
    if failed_at_s is not None:
        wanted.insert(0, failed_at_s + DURATION_LEAST_S)
    return [at_s for at_s in wanted if DURATION_LEAST_S <= at_s < 0.99 * duration_s]


def _until(scenario: Scenario, duration_s: float) -> Scenario:
    """Cut off the end of the traffic; the part before it stays unchanged."""
    return replace(
        scenario,
        duration_s=duration_s,
        warmup_s=0.0,
        traffic=[
            replace(traffic, end_s=None if traffic.end_s is None else min(traffic.end_s, duration_s))
            for traffic in scenario.traffic
            if traffic.start_s < duration_s
        ],
        faults=[
            replace(fault, between_s=None if span is None else (span[0], min(span[1], duration_s)))
            for fault in scenario.faults
            if (span := fault.between_s) is None or span[0] < duration_s
        ],
    )


def _without_one(items: Sequence[T]) -> Iterator[list[T]]:
    """Yield the items without one half, then without each single one, so that parts without effect go quickly."""
    half = len(items) // 2
    if half > 1:
        yield list(items[half:])
        yield list(items[:half])
    for i in range(len(items)):
        yield [*items[:i], *items[i + 1 :]]


def _changed(items: Sequence[T], changes: Callable[[T], list[T]]) -> Iterator[list[T]]:
    for i, item in enumerate(items):
        for changed in changes(item):
            yield [*items[:i], changed, *items[i + 1 :]]


def _halved(item: Any, field: str, least: int) -> list[Any]:
    value = getattr(item, field)
    return [replace(item, **{field: fewer}) for fewer in dict.fromkeys((least, value // 2)) if least <= fewer < value]


def _calmer(traffic: Traffic) -> list[Traffic]:
    simpler = [replace(traffic, rate_per_s=traffic.rate_per_s / 2)] if traffic.rate_per_s > 0.05 else []
    for field, plain in (("sessions", 0), ("retries", 0), ("timeout_s", None)):
        if getattr(traffic, field) != plain and not (field == "sessions" and traffic.affinity):
            simpler.append(replace(traffic, **{field: plain}))
    if traffic.affinity:
        simpler.append(replace(traffic, affinity=False))
    return simpler


def _rarer(fault: Fault, duration_s: float) -> list[Fault]:
    if not fault.per_target_per_h:
        return []  # it only follows others
    begins_s, ends_s = fault.between_s or (0.0, duration_s)
    middle_s = (begins_s + ends_s) / 2
    spans = [(begins_s, middle_s), (middle_s, ends_s)] if ends_s - begins_s > DURATION_LEAST_S else []
    return [replace(fault, between_s=span) for span in spans]
