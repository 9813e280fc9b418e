"""Finds reasons why a run proves nothing: no job completed, or no node serves a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxpool.sim.scenario.scenario import Scenario

COMPLETED = "jobs.completed"
"""A scenario with an expectation for this figure specifies itself how many jobs must complete, even none."""


def missing_evidence(run: Mapping[str, Any]) -> list[str]:
    """Return a sentence when no job of `run` (a RUN) completed, else an empty list."""
    jobs = run["jobs"]
    if jobs["completed"]:
        return []
    if not jobs["submitted"] and not jobs["rejected"]:
        return ["no job was submitted: the scenario has no traffic, or its traffic is too rare for its duration_s"]
    ends = [f"{jobs[name]:,} {name}" for name in ("submitted", "rejected", "failed", "cancelled", "died") if jobs[name]]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in run["failed_for"].items())
    return [f"no job completed: {', '.join(ends)}" + (f" (failed for {reasons})" if reasons else "")]


def missing_evidence_of(scenario: Scenario, run: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each reason why `run` of `scenario` proves nothing, unless the scenario expects that."""
    if any(line.path == COMPLETED for line in scenario.expectations):
        return []
    served = {pair for group in scenario.nodes for pair in group.pairs}
    wanted = [traffic.pair for traffic in scenario.traffic if traffic.rate_per_s]
    unserved = [pair for pair in dict.fromkeys(wanted) if pair not in served]
    return [
        *(f"no node serves {pair}: none of its jobs can complete" for pair in unserved),
        *missing_evidence(run),
    ]
