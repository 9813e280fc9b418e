"""Makes a failing case smaller while it still fails in the same way: fewer faults, less time, fewer nodes and jobs.

Delta debugging: faults at a rate become single faults first, at the times and on the targets that they had. Then parts
of the case are left out, halves first, then smaller ones. The seed stays the same, so its sub-seeds keep what remains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.faults.strikes import Strike
from voxpool.sim.replay.case import Case, Found, run_case
from voxpool.sim.replay.lookout import look_at
from voxpool.sim.scenario.scenario import Fault, Scenario, Traffic, check_scenario
from voxpool.sim.virtual_time.stopwatch import Stopwatch

RUNS_MAX = 300
SECONDS_MAX = 60.0
DURATION_LEAST_S = 1.0
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
    """Return the smallest case that shows the first sign of `found`, within the limits of runs and of time.

    A candidate is played to its first sign only; the smallest one is played to its end.
    """
    search = _Search(case, found, runs_max, seconds_max, progress)
    is_smallest = True
    try:
        search.pin_faults()
        while search.cut_all():
            pass
    except _BoundReached:
        is_smallest = False
    if search.case != case:
        outcome, _ = run_case(search.case)
        if search.sign in outcome.signs:
            return Shrunk(search.case, outcome, search.runs, is_smallest)
        is_smallest = False
    return Shrunk(case, found, search.runs, is_smallest)


class _BoundReached(Exception):
    """No further run is allowed."""


class _Search:
    """The smallest failing case so far, and the ways to cut it."""

    def __init__(
        self,
        case: Case,
        found: Found,
        runs_max: int,
        seconds_max: float,
        progress: Callable[[float], None] | None,
    ) -> None:
        self.case, self.sign = case, found.signs[0]
        self.runs = 0
        self._first_s = found.first_s
        self._runs_max, self._seconds_max, self._progress = runs_max, seconds_max, progress
        self._watch = Stopwatch()
        self._tried = {msgspec.json.encode(case.scenario)}

    @property
    def scenario(self) -> Scenario:
        """The smallest failing scenario so far."""
        return self.case.scenario

    def pin_faults(self) -> None:
        """Put the single faults that strike before the failure in the place of faults at a rate."""
        if any(fault.at_s is None for fault in self.scenario.faults):
            self._take_run()
            self._tries(_with_strikes(self.scenario, look_at(self.case, self.sign, self._first_s).strikes))

    def cut_all(self) -> bool:
        """Try every cut, and return whether one succeeded."""
        before = self.case
        for duration_s in _durations(self.scenario.duration_s, self._first_s):
            self._tries(_until(self.scenario, duration_s))
        self._fewer("faults", 0)
        self._change("traffic", lambda traffic: [replace(traffic, rate_per_s=0.0)] if traffic.rate_per_s else [])
        self._fewer("traffic", 0)
        self._fewer("nodes", 1)
        self._change("nodes", lambda nodes: _halved(nodes, "count") + _halved(nodes, "slots"))
        self._change("traffic", lambda traffic: _shorter(traffic, self.scenario.duration_s))
        self._change("traffic", _calmer)
        self._change("faults", lambda fault: _rarer(fault, self.scenario.duration_s))
        for part, plain in (("links", "delay_ms"), ("store", "delay_ms"), ("service", "overhead_ms")):
            self._tries(replace(self.scenario, **{part: replace(getattr(self.scenario, part), **{plain: 0.0})}))
        self._tries(replace(self.scenario, loop=replace(self.scenario.loop, message_ms=0.0)))
        for keys in ("settings", "expect"):
            self._fewer(keys, 0)
        return self.case != before

    def _fewer(self, part: str, least: int) -> None:
        """Leave out items of a list or table of the scenario: halves, quarters, and so on to single ones."""
        whole = getattr(self.scenario, part)
        if not whole:
            return
        make: Callable[[list[Any]], Any] = dict if isinstance(whole, dict) else list
        items = list(whole.items()) if isinstance(whole, dict) else list(whole)
        size = max(1, len(items) // 2)
        while size:
            begin = 0
            while begin < len(items):
                left = items[:begin] + items[begin + size :]
                if len(left) >= least and self._tries(replace(self.scenario, **{part: make(left)})):
                    items = left
                else:
                    begin += size
            size //= 2

    def _change(self, part: str, changes: Callable[[Any], list[Any]]) -> None:
        """Replace each item of a list by the first of its changes that still fails, as long as there is one."""
        place = 0
        while place < len(items := getattr(self.scenario, part)):
            if not any(
                self._tries(replace(self.scenario, **{part: [*items[:place], changed, *items[place + 1 :]]}))
                for changed in changes(items[place])
            ):
                place += 1

    def _tries(self, scenario: Scenario) -> bool:
        """Take `scenario` if it fails in the same way, and return whether it does."""
        key = msgspec.json.encode(scenario)
        if key in self._tried:
            return False
        self._tried.add(key)
        try:
            check_scenario(scenario, "shrunk")
        except ConfigError:
            return False  # invalid, such as a mean size above a bound that was cut
        self._take_run()
        candidate = replace(self.case, scenario=scenario)
        look = look_at(candidate, self.sign, self._first_s)
        if look.is_shown:
            self.case, self._first_s = candidate, look.first_s
        return look.is_shown

    def _take_run(self) -> None:
        seconds = self._watch.seconds()
        if self.runs >= self._runs_max or seconds >= self._seconds_max:
            raise _BoundReached
        self.runs += 1
        if self._progress is not None:
            self._progress(max(self.runs / self._runs_max, seconds / self._seconds_max))


def _with_strikes(scenario: Scenario, strikes: Sequence[Strike]) -> Scenario:
    faults = [
        Fault(kind=kind, at_s=at_s, target=target, lasts_s=None if lasts_s is None else (lasts_s, lasts_s))
        for kind, target, at_s, lasts_s in strikes
    ]
    return replace(scenario, faults=faults)


def _durations(duration_s: float, failed_at_s: float | None) -> list[float]:
    """Return shorter durations of traffic, the shortest first: a half, just after the failure, nine tenths."""
    wanted = [duration_s / 2, 0.9 * duration_s]
    if failed_at_s is not None:
        wanted.append(failed_at_s + DURATION_LEAST_S)
    return [at_s for at_s in sorted(wanted) if DURATION_LEAST_S <= at_s < 0.99 * duration_s]


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
            if (fault.at_s or 0.0) < duration_s and ((span := fault.between_s) is None or span[0] < duration_s)
        ],
    )


def _halved(item: Any, field: str) -> list[Any]:
    value = getattr(item, field)
    return [replace(item, **{field: fewer}) for fewer in dict.fromkeys((1, value // 2)) if 1 <= fewer < value]


def _shorter(traffic: Traffic, duration_s: float) -> list[Traffic]:
    """End the stream earlier; the jobs before stay unchanged."""
    end_s = duration_s if traffic.end_s is None else traffic.end_s
    parts = (traffic.start_s + share * (end_s - traffic.start_s) for share in (0.5, 0.75, 0.9))
    return [replace(traffic, end_s=part_s) for part_s in parts] if traffic.rate_per_s and end_s > 0.1 else []


def _calmer(traffic: Traffic) -> list[Traffic]:
    simpler = [replace(traffic, rate_per_s=traffic.rate_per_s / 2)] if traffic.rate_per_s > 0.05 else []
    for field, plain in (("sessions", 0), ("retries", 0), ("timeout_s", None)):
        if getattr(traffic, field) != plain and not (field == "sessions" and traffic.affinity):
            simpler.append(replace(traffic, **{field: plain}))
    if traffic.affinity:
        simpler.append(replace(traffic, affinity=False))
    return simpler


def _rarer(fault: Fault, duration_s: float) -> list[Fault]:
    """Halve the period in which faults at a rate begin."""
    if not fault.per_target_per_h:
        return []  # it is a single one, or only follows others
    begins_s, ends_s = fault.between_s or (0.0, duration_s)
    middle_s = (begins_s + ends_s) / 2
    is_long = ends_s - begins_s > DURATION_LEAST_S
    return [replace(fault, between_s=span) for span in ((begins_s, middle_s), (middle_s, ends_s)) if is_long]
