"""The long soak at a small size: what is drawn, what is read, and when its verdict must be a bad one."""

from __future__ import annotations

import msgspec

from sim.faults import FAULTS
from sim.report import Outcome
from sim.scenario import parse_scenario
from sim.swarm.long_drawn import FULL, LongSize, draw_long, sized
from sim.swarm.long_report import report_of
from sim.swarm.long_run import LongRun, long_run

SMALL = LongSize(days=0.03, parts=2, rate_per_s=2.0, strikes=4.0, strikes_min=0, sample_s=60.0)
OPTIONS = {"seed": 1, "days": 0.03, "store": "memory", "quick": True}


def played() -> LongRun:
    """Forty minutes."""
    return long_run(draw_long(1, SMALL), SMALL, "memory", None)


def test_a_short_soak_breaks_nothing_and_reads_what_must_stay_bounded() -> None:
    run = played()
    report = report_of(run, draw_long(1, SMALL), SMALL, OPTIONS)
    assert run.broken == [] and run.run["jobs"]["lost"] == 0
    assert report.outcome is not Outcome.BROKEN, report.notes
    assert len(run.times_s) == 43 and {len(values) for values in run.series.values()} == {43}
    assert {"jobs in the table", "deadlines of jobs", "store: held", "mirror: holds", "live bytes"} <= set(run.series)
    for values in run.series.values():
        for i in range(len(values)):
            values[i] = float(1_000_000 * i)
    grown = report_of(run, draw_long(1, SMALL), SMALL, OPTIONS)
    assert grown.outcome is Outcome.BROKEN
    assert not any(check.ok for check in grown.checks if check.name.endswith("trend"))


def test_the_full_size_has_thirty_days_five_jobs_a_second_and_every_fault_a_hundred_times() -> None:
    drawn = draw_long(1, FULL)
    assert parse_scenario(msgspec.to_builtins(drawn), "drawn") == drawn
    seconds = [(traffic.end_s or 0.0) - traffic.start_s for traffic in drawn.traffic]
    jobs = sum(traffic.rate_per_s * s for traffic, s in zip(drawn.traffic, seconds, strict=True))
    assert drawn.duration_s == 30 * 86_400 and abs(jobs / drawn.duration_s - 5.0) < 1e-6
    assert sum(group.count for group in drawn.nodes) >= 20
    assert {fault.kind for fault in drawn.faults} == set(FAULTS)
    assert sized(3).strikes == FULL.strikes / 10
