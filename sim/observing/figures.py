"""The figures of a run in the form of a report's RUN, computed from what the recorder recorded."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from voxpool.sim.world.observed_world import ObservedWorld

RECORD_BYTES = 610
"""Size of the record of one finished job in the table, as measured by `python -m bench.table`."""
SHOWN: tuple[tuple[str, str], ...] = (
    ("jobs.submitted", ""),
    ("jobs.completed", ""),
    ("jobs.failed", ""),
    ("jobs.redispatched", ""),
    ("wait_s.mean", "s"),
    ("wait_s.p99", "s"),
    ("sojourn_s.mean", "s"),
    ("utilisation", ""),
    ("resident.jobs_mean", ""),
    ("resident.jobs_max", ""),
    ("resident.jobs_end", ""),
    ("faults.begun", ""),
    ("virtual_s", "s"),
    ("wall_s", "s"),
)
"""Figures, with units, that are shown although the scenario has no expectation for them."""


def run_figures(
    world: ObservedWorld, *, traffic_s: float, busy_s: float, wall_s: float, jobs_end: int | None = None
) -> dict[str, Any]:
    """Return the RUN of a world that has drained and isn't stopped yet.

    `traffic_s` is the duration of the traffic, `busy_s` the slot seconds that nodes worked in that time, `wall_s` the
    real time of the run; `jobs_end` replaces the world's count of finished jobs left at the end. A checker that was
    skipped, wholly or in part, has None in place of a count, and its reason is under `not_checked`.
    """
    seen = world.recorder
    slots = sum(node.slots for node in world.nodes)
    lost = sum(1 for request in world.clients.open.values() if request.ended == 0)
    completed = seen.ended["completed"]
    without_result = seen.ended["failed"] + seen.rejected + lost
    return {
        "trace_hash": world.trace.hexdigest() if world.trace is not None else "",
        "events": world.trace.events if world.trace is not None else 0,
        "virtual_s": world.env.now,
        "wall_s": wall_s,
        "jobs": {
            "submitted": seen.submitted,
            **seen.ended,
            "rejected": seen.rejected,
            "lost": lost,
            "run_twice": seen.run_twice,
            "redispatched": seen.redispatched,
            "late_results": seen.late_results,
            "died": seen.died_unfinished,
        },
        "failed_for": dict(sorted(seen.reasons.items())),
        "failures": without_result / (completed + without_result) if completed + without_result else math.nan,
        "rate": completed / traffic_s if traffic_s else math.nan,
        "wait_s": spread(seen.wait_s),
        "start_wait_s": spread(seen.start_wait_s),
        "sojourn_s": spread(seen.sojourn_s),
        "utilisation": busy_s / (slots * traffic_s) if slots and traffic_s else 0.0,
        "resident": {
            "jobs_mean": seen.mean_finished,
            "jobs_max": seen.finished.greatest,
            "jobs_end": world.jobs_at_end if jobs_end is None else jobs_end,
            "unfinished_max": seen.unfinished.greatest,
            "bytes_max": seen.finished.greatest * RECORD_BYTES + seen.audio_bytes_max,
            "bytes_end": len(world.core.table) * RECORD_BYTES + world.core.table.audio_bytes,
            "audio_bytes_max": seen.audio_bytes_max,
            "redis_keys_max": seen.store_keys_max,
            "redis_keys_end": world.store_keys(),
        },
        "nodes": shares(world),
        "stale_allocations": seen.stale_allocations,
        "faults": {
            "begun": world.faults.begun,
            "healed": world.faults.healed,
            "left_out": world.faults.left_out,
            "kinds": dict(sorted(world.faults.counts.items())),
        },
        "checkers": {
            checker.sentence: None if checker.not_checked and not checker.broken else checker.broken
            for checker in world.checkers
        },
        "not_checked": {checker.sentence: checker.not_checked for checker in world.checkers if checker.not_checked},
    }


def spread(values: array[float]) -> dict[str, float]:
    """Return mean, median, high percentiles and maximum; nan when there are no values."""
    if not values:
        return dict.fromkeys(("mean", "p50", "p90", "p99", "max"), math.nan)
    figures = np.frombuffer(values, dtype=np.float64)
    p50, p90, p99 = np.percentile(figures, (50, 90, 99))
    return {
        "mean": float(figures.mean()),
        "p50": float(p50),
        "p90": float(p90),
        "p99": float(p99),
        "max": float(figures.max()),
    }


def shares(world: ObservedWorld) -> dict[str, float]:
    """Return the greatest and smallest share of dispatches, and chi-square against equal shares of equal nodes."""
    dispatches = world.recorder.dispatches
    total = sum(dispatches.values())
    groups: dict[tuple[Any, ...], list[int]] = {}
    for node in world.nodes:
        groups.setdefault((tuple(node.pairs), node.slots, node.speed), []).append(dispatches.get(node.node_id, 0))
    chi_square, degrees = 0.0, 0
    for counts in groups.values():
        fair = sum(counts) / len(counts)
        if fair:
            chi_square += sum((count - fair) ** 2 for count in counts) / fair
            degrees += len(counts) - 1
    every = [count for counts in groups.values() for count in counts]
    return {
        "share_max": max(every) / total if total else 0.0,
        "share_min": min(every) / total if total else 0.0,
        "chi_square": chi_square,
        "degrees": degrees,
    }
