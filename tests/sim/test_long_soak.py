"""The long soak at a small size: its draws, its readings, and cases in which its verdict must fail."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace

import msgspec
import pytest

from voxpool.scheduler.core.clock import Deadlines
from voxpool.scheduler.core.jobs.affinity import Affinity
from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.faults import FAULTS
from voxpool.sim.report.report import Outcome
from voxpool.sim.scenario.scenario import parse_scenario
from voxpool.sim.swarm.long_generated import FULL, LongSize, draw_long, sized
from voxpool.sim.swarm.long_report import report_of
from voxpool.sim.swarm.long_run import LongRun, long_run

SMALL = LongSize(days=0.03, parts=2, rate_per_s=2.0, strikes=4.0, strikes_min=0, sample_s=60.0)
OPTIONS = {"seed": 1, "days": 0.03, "store": "memory", "quick": True}


FAR_MS = 2**60


def played(sessions_max: int = 500) -> LongRun:
    """Forty minutes."""
    drawn = draw_long(1, SMALL)
    scenario = msgspec.structs.replace(drawn, settings={**drawn.settings, "sessions_max": sessions_max})
    return long_run(scenario, SMALL, "memory", None)


healthy = functools.cache(played)
"""The run without a planted bug, played once; tests copy it."""


def not_kept(run: LongRun) -> set[str]:
    """Return the names of the figures outside their limits."""
    checks = report_of(run, draw_long(1, SMALL), SMALL, OPTIONS).checks
    return {check.name for check in checks if check.clear and not check.ok}


def test_a_short_soak_passes_and_reads_the_bounded_figures() -> None:
    run = copy.deepcopy(healthy())
    report = report_of(run, draw_long(1, SMALL), SMALL, OPTIONS)
    assert run.broken == [] and run.run["jobs"]["lost"] == 0
    assert report.outcome is not Outcome.BROKEN, report.notes
    assert len(run.times_s) == 43 and {len(values) for values in run.series.values()} == {43}
    assert {"jobs in the table", "deadlines of jobs", "store: held", "mirror: reservations", "allocated bytes"} <= set(
        run.series
    )
    assert report.unproven == []
    idle = replace(run, run={**run.run, "jobs": dict.fromkeys(run.run["jobs"], 0)})
    unproven = report_of(idle, draw_long(1, SMALL), SMALL, OPTIONS)
    assert unproven.outcome is Outcome.UNCLEAR and "no job was submitted" in unproven.meaning
    for values in run.series.values():
        for i in range(len(values)):
            values[i] = float(1_000_000 * i)
    grown = report_of(run, draw_long(1, SMALL), SMALL, OPTIONS)
    assert grown.outcome is Outcome.BROKEN
    assert not any(check.ok for check in grown.checks if check.name.endswith(("trend", "above the bound")))


def test_a_bounded_figure_is_healthy_below_its_bound_with_any_trend() -> None:
    """In a small run the noise hides the trend of figures that follow the traffic, and figures that fill up to a cap
    rise.
    """
    run = copy.deepcopy(healthy())
    most = {name: max(values) for name, values in run.bounds.items()}
    assert most["sessions remembered"] == 500 and 1 < most["deadlines of jobs"] < 1000
    for i in range(len(run.times_s)):
        run.series["sessions remembered"][i] = 450.0 + i
        run.series["deadlines of jobs"][i] = (i * 31 % 7) * run.bounds["deadlines of jobs"][i] / 7
    assert not_kept(run) == set()
    run.series["sessions remembered"][20] = 501.0
    run.series["deadlines of jobs"][30] = run.bounds["deadlines of jobs"][30] + 1
    above = {"sessions remembered, readings above the bound", "deadlines of jobs, readings above the bound"}
    assert above <= not_kept(run)


def test_deadlines_and_sessions_that_are_never_removed_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of each job stays among the deadlines for ever, and the hints of sessions have no bound."""
    kept = Deadlines.set

    def leaking(self: Deadlines[Job], thing: Job, when_ms: int) -> None:
        kept(self, thing, when_ms)
        if isinstance(thing, Job) and not thing.attempt:
            kept(self, msgspec.structs.replace(thing, deadline_ms=0), FAR_MS)

    def unbounded(self: Affinity, session_id: str, node_id: str) -> None:
        self._nodes[session_id] = node_id

    monkeypatch.setattr(Deadlines, "set", leaking)
    monkeypatch.setattr(Affinity, "took", unbounded)
    above = {"deadlines of jobs, readings above the bound", "sessions remembered, readings above the bound"}
    assert above <= not_kept(played(sessions_max=50))


def test_the_full_size_has_thirty_days_five_jobs_a_second_and_every_fault_a_hundred_times() -> None:
    drawn = draw_long(1, FULL)
    assert parse_scenario(msgspec.to_builtins(drawn), "drawn") == drawn
    seconds = [(traffic.end_s or 0.0) - traffic.start_s for traffic in drawn.traffic]
    jobs = sum(traffic.rate_per_s * s for traffic, s in zip(drawn.traffic, seconds, strict=True))
    assert drawn.duration_s == 30 * 86_400 and abs(jobs / drawn.duration_s - 5.0) < 1e-6
    assert sum(group.count for group in drawn.nodes) >= 20
    assert {fault.kind for fault in drawn.faults} == set(FAULTS)
    assert sized(3).strikes == FULL.strikes / 10
