"""The lines of [expect]: a figure of the report, a comparison, a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from scheduler.errors import ConfigError
from sim.limits import holds
from sim.scenario_errors import nearest

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
FIGURES: tuple[str, ...] = (
    "virtual_s",
    "wall_s",
    *(f"jobs.{name}" for name in _JOBS),
    *(f"{wait}.{name}" for wait in ("wait_s", "start_wait_s", "sojourn_s") for name in _SPREAD),
    "utilisation",
    *(f"resident.{name}" for name in ("jobs_mean", "jobs_max", "jobs_end", "bytes_max", "bytes_end")),
    *(f"resident.{name}" for name in ("unfinished_max", "audio_bytes_max", "redis_keys_max", "redis_keys_end")),
    *(f"nodes.{name}" for name in ("share_max", "share_min", "chi_square", "degrees")),
    *(f"faults.{name}" for name in ("begun", "healed", "left_out")),
    "void_grants",
)
ALIASES = {f"{name}_jobs": f"jobs.{name}" for name in _JOBS}
"""`lost_jobs` is what `jobs.lost` is."""


class Expectation(NamedTuple):
    """`name` as it was written, the path of the figure in the report, and its limit."""

    name: str
    path: str
    limit: str


def parse_expectations(lines: Mapping[str, str]) -> list[Expectation]:
    """Parse the table [expect]; raises ConfigError that names the key."""
    expectations = []
    for name, limit in lines.items():
        path = ALIASES.get(name, name)
        if path not in FIGURES:
            raise ConfigError(f"{name}: no such figure; {nearest(name, [*FIGURES, *ALIASES])}")
        try:
            holds(0.0, limit)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        expectations.append(Expectation(name, path, limit))
    return expectations


def figure_at(run: Mapping[str, Any], path: str) -> float | None:
    """Return the figure at a dotted path of a RUN, or None when it has none there."""
    at: Any = run
    for step in path.split("."):
        if not isinstance(at, Mapping) or step not in at:
            return None
        at = at[step]
    return at if isinstance(at, int | float) else None
