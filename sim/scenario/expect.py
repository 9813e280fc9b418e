"""Expectations: a figure, a comparison and a limit, as in a scenario's [expect] and a load run's --expect.

The grammar and the names are the same for a simulation and a load run. Both accept figures that only one of them has,
so that one scenario serves both; the other reports that the figure was not checked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.limits import Limit, read_limit

_SPREAD = ("mean", "p50", "p90", "p99", "max")
_JOBS = (
    "submitted",
    "completed",
    "failed",
    "cancelled",
    "rejected",
    "lost",
    "run_twice",
    "redispatched",
    "late_results",
    "died",
)
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
LATENCIES = ("mean", *QUANTILES, "max")
OPERATIONS: dict[str, tuple[str, ...]] = {
    "": ("result", "submit", "cancel", "job", "utterance", "connect"),
    "http": ("result", "submit", "cancel", "job"),
    "ws": ("result", "submit", "cancel", "utterance", "connect"),
    "node": ("register", "heartbeat", "assign", "work", "cancel"),
}
"""Operation of a load run -> type of its requests; without a type, the requests of all clients count."""
KEY = "key"
"""Type of the ends of the jobs of one key in a load run: key.NAME.p99, and so on."""
FAILURES, OTHER_FAILURES, RATE = "failures", "other.failures", "rate"
_TIME, _SHARE, _RATE, _COUNT = ("ms", "s", "min"), ("%",), ("/s", "/min"), ("",)
_BYTES = ("B", "kB", "MB", "GB", "KiB", "MiB", "GiB")


class FigureOf(NamedTuple):
    """One figure: the units of its limit, and its path or name in each kind of run."""

    units: tuple[str, ...]
    """The units that a limit can have."""
    plain: str | None = None
    """The unit of a limit without one, "" = a plain number; None: a unit is required (except for 0)."""
    simulated: str = ""
    """Path in the RUN of a simulation; "" = only a load run has it."""
    loaded: str = ""
    """Its name in a load run; "" = only a simulation has it."""


def _figures() -> dict[str, FigureOf]:
    found = {name: FigureOf(_TIME, "s", name) for name in ("virtual_s", "wall_s")}
    for name in _JOBS:
        path = f"jobs.{name}"
        loaded = path if name in ("submitted", "completed", "failed", "cancelled", "rejected", "lost") else ""
        # `lost_jobs` is another name of `jobs.lost`.
        found |= dict.fromkeys(
            (path, f"{name}_jobs"), FigureOf((*_COUNT, *_SHARE) if loaded else _COUNT, "", path, loaded)
        )
    for wait in ("wait_s", "start_wait_s", "sojourn_s"):
        for name in _SPREAD:
            loaded = f"result.{name}" if wait == "sojourn_s" else ""
            found[f"{wait}.{name}"] = FigureOf(_TIME, "s", f"{wait}.{name}", loaded)
    found["utilisation"] = FigureOf(("", *_SHARE), "", "utilisation")
    for name in ("jobs_mean", "jobs_max", "jobs_end", "unfinished_max", "redis_keys_max", "redis_keys_end"):
        found[f"resident.{name}"] = FigureOf(_COUNT, "", f"resident.{name}")
    for name in ("bytes_max", "bytes_end", "audio_bytes_max"):
        found[f"resident.{name}"] = FigureOf(_BYTES, "B", f"resident.{name}")
    for path in ("nodes.share_max", "nodes.share_min", "nodes.chi_square", "nodes.degrees", "stale_allocations"):
        found[path] = FigureOf(_COUNT, "", path)
    for name in ("begun", "healed", "left_out"):
        found[f"faults.{name}"] = FigureOf(_COUNT, "", f"faults.{name}")
    found[FAILURES] = FigureOf(_SHARE, None, FAILURES, FAILURES)
    found[RATE] = FigureOf(_RATE, "/s", RATE, RATE)
    found[OTHER_FAILURES] = FigureOf(_SHARE, None, loaded=OTHER_FAILURES)
    for name in ("jobs.twice", "jobs.wrong", "arrivals.late", "arrivals.dropped"):
        found[name] = FigureOf((*_COUNT, *_SHARE), "", loaded=name)
    for name in ("memory.bytes_a_job", "memory.rss"):
        found[name] = FigureOf(_BYTES, "B", loaded=name)
    for kind, operations in OPERATIONS.items():
        for operation in operations:
            path = f"{kind}.{operation}" if kind else operation
            for name in LATENCIES:
                simulated = f"sojourn_s.{name}" if path == "result" and name in _SPREAD else ""
                found[f"{path}.{name}"] = FigureOf(_TIME, None, simulated, f"{path}.{name}")
            found[f"{path}.{RATE}"] = FigureOf(_RATE, "/s", loaded=f"{path}.{RATE}")
            found[f"{path}.{FAILURES}"] = FigureOf(_SHARE, None, loaded=f"{path}.{FAILURES}")
    # The figures of all jobs are those of the operation "result".
    for name in (RATE, FAILURES):
        found[f"result.{name}"] = found[name]
    return found


FIGURES: Mapping[str, FigureOf] = _figures()
"""All figures that can have a limit, by name."""
_OF_KEY = {
    **dict.fromkeys(LATENCIES, FigureOf(_TIME, None)),
    RATE: FigureOf(_RATE, "/s"),
    FAILURES: FigureOf(_SHARE, None),
}
"""The figures of each key; only a load run has them."""
KEY_FIGURE = rf"key\.([A-Za-z0-9._-]{{1,64}})\.({'|'.join(re.escape(name) for name in _OF_KEY)})"
"""The name of such a figure, as a regular expression."""
_SPLIT = re.compile(r"^\s*([^<>=!]+?)\s*((?:==|!=|<=|>=|<|>)[^<>=!]+)$")


class Expectation(NamedTuple):
    """The expectation for one figure."""

    name: str
    """As it was written."""
    path: str
    """Path in the RUN of a simulation; "" = only a load run has it."""
    limit: str
    """As it was written."""
    bound: Limit
    """The parsed limit, with its unit."""
    loaded: str = ""
    """The figure's name in a load run; "" = there is none."""


def parse_expectations(lines: Mapping[str, str]) -> list[Expectation]:
    """Parse the table [expect]; raises ConfigError that names the key."""
    return [_expectation(name, limit) for name, limit in lines.items()]


def parse_expectation(text: str) -> Expectation:
    """Parse one text such as "result.p99<200ms"; raises ConfigError."""
    match = _SPLIT.match(text)
    if match is None:
        raise ConfigError("write FIGURE, a comparison (< <= > >=) and a limit, such as result.p99<200ms")
    return _expectation(match[1], match[2])


def for_a_load_run(*sources: Iterable[Expectation]) -> tuple[list[Expectation], list[Expectation]]:
    """Return the expectations that a load run checks, and those that it can't check.

    A later source replaces the expectations of earlier ones for the same figure.
    """
    checked: list[Expectation] = []
    left_out: list[Expectation] = []
    for source in map(list, sources):
        figures = {one.loaded for one in source}
        checked = [one for one in checked if one.loaded not in figures]
        checked += [one for one in source if one.loaded]
        left_out += [one for one in source if not one.loaded]
    return checked, left_out


def figure_at(run: Mapping[str, Any], path: str) -> float | None:
    """Return the figure at a dotted path of a RUN, or None when there is none."""
    at: Any = run
    for step in path.split("."):
        if not isinstance(at, Mapping) or step not in at:
            return None
        at = at[step]
    return at if isinstance(at, int | float) else None


def key_figure(name: str) -> tuple[str, str]:
    """Return the key and the figure of `name`: "key.a.p99.9" is "a" and "p99.9"."""
    match = re.fullmatch(KEY_FIGURE, name)
    assert match is not None, name
    return match[1], match[2]


def not_simulated(expectations: Sequence[Expectation]) -> list[str]:
    """Return a sentence that names the figures that a simulation does not check; an empty list when it checks all."""
    names = [f"{one.name} {one.limit}" for one in expectations if not one.path]
    return [f"Not checked, only a load run has the figure: {', '.join(names)}."] if names else []


def _expectation(name: str, limit: str) -> Expectation:
    figure = FIGURES.get(name) or _of_key(name)
    if figure is None:
        raise ConfigError(f"{name}: no such figure; {_hint(name)}")
    try:
        return Expectation(name, figure.simulated, limit, _bound(limit, figure), figure.loaded)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


def _of_key(name: str) -> FigureOf | None:
    return _OF_KEY[key_figure(name)[1]]._replace(loaded=name) if re.fullmatch(KEY_FIGURE, name) else None


def _bound(limit: str, figure: FigureOf) -> Limit:
    """Return the limit with its unit. Raises ConfigError."""
    bound = read_limit(limit)
    low, _ = bound.bounds
    if not bound.unit:
        if figure.plain is None and (bound.low, bound.high) != (0, 0):
            raise ConfigError(f"limit {limit!r} has no unit: give one of {', '.join(figure.units)}")
        bound = bound._replace(unit=figure.units[0] if figure.plain is None else figure.plain)
    elif bound.unit not in figure.units:
        units = ", ".join(unit or "none" for unit in figure.units)
        raise ConfigError(f"limit {limit!r} has a unit that doesn't fit the figure: its units are {units}")
    if bound.sign == "<" and low <= 0 and figure.loaded != "memory.bytes_a_job":
        raise ConfigError(f"limit {limit!r}: the figure is never below 0, write '<= 0' for none at all")
    return bound


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name.lower().replace(" ", "."), FIGURES, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "figures are such as result.p99, failures, rate and jobs.lost"
