"""The conclusion of `leak-measured`: both sides must behave as expected, and as simulated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.loadtest.commands._leak_report import Side, bytes_a_job, finished, report
from voxpool.loadtest.commands._prediction import Readings
from voxpool.sim.report.report import WITH, WITHOUT, Report

SETTLED_S = 21.0
RATE = 100
VERDICTS = {0: "no leak", 1: "leak", 2: "unclear"}


def readings(job_bytes: float, kept_s: float, sweeps: int = 60) -> Readings:
    """Return readings every 3 s of a server that keeps each job for `kept_s`."""
    found = Readings()
    for sweep in range(1, sweeps + 1):
        ended = 3 * RATE * sweep
        jobs = min(ended, int(RATE * kept_s))
        found.add(3.0 * sweep, 40e6 + job_bytes * jobs, jobs, ended)
    return found


def side(name: str, exit_code: int, measured: float = 980.0, simulated: float = 950.0, failures: int = 0) -> Side:
    kept_s = math.inf if name == WITHOUT else 15.0
    kept_s = min(kept_s, 1e6)
    return Side(
        name=name,
        exit_code=exit_code,
        finding=MemoryFinding(verdict=VERDICTS[exit_code], reason="as it was found"),
        measured=readings(measured, kept_s),
        predicted=readings(simulated, kept_s),
        seconds=180.0,
        failures=failures,
        generator=("the generator was slow",) if failures else (),
        settled_s=SETTLED_S,
    )


def of(*sides: Side) -> Report:
    variant = "both" if len(sides) > 1 else sides[0].name
    return report(sides, {"rate_per_s": RATE}, seed=1, limit=50.0, variant=variant)


def test_a_leak_without_the_clean_up_only_passes() -> None:
    found = of(side(WITHOUT, 1), side(WITH, 0))
    assert [check.name for check in found.checks if not check.ok] == []
    assert found.exit_code == 0


def test_a_leak_with_the_clean_up_is_broken() -> None:
    assert of(side(WITHOUT, 1), side(WITH, 1)).exit_code == 1


@pytest.mark.parametrize(("without", "with_"), [(0, 0), (2, 0), (1, 2)])
def test_a_side_without_a_finding_is_unclear(without: int, with_: int) -> None:
    assert of(side(WITHOUT, without), side(WITH, with_)).exit_code == 2


def test_jobs_of_another_size_than_simulated_are_not_accepted() -> None:
    found = of(side(WITHOUT, 1, measured=1200.0), side(WITH, 0))
    assert [check.name for check in found.checks if not check.ok] == [
        "M1 bytes a job, measured above simulated, without"
    ]
    assert found.exit_code == 2


def test_a_partly_failed_load_is_not_accepted() -> None:
    found = of(side(WITHOUT, 1), side(WITH, 0, failures=3))
    assert found.exit_code == 1
    assert "with: the generator was slow" in found.notes


def test_one_side_alone_has_the_result_of_that_side() -> None:
    assert of(side(WITHOUT, 1)).exit_code == 1
    assert of(side(WITH, 0)).exit_code == 0


def test_growth_is_given_per_job_and_unknown_growth_is_left_out() -> None:
    assert bytes_a_job(readings(980.0, 1e6), SETTLED_S) == pytest.approx(980.0)
    assert bytes_a_job(readings(980.0, 15.0), SETTLED_S) == pytest.approx(0.0)
    assert math.isnan(bytes_a_job(readings(980.0, 15.0, sweeps=5), SETTLED_S))
    assert math.isnan(finished(Readings(), SETTLED_S, at_end=True))


def test_the_report_has_pictures_and_curves(tmp_path: Path) -> None:
    found = of(side(WITHOUT, 1), side(WITH, 0))
    found.write(out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "allocated_bytes.svg",
        "report.html",
        "report.json",
        "resident_jobs.svg",
    ]
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content["experiment"] == "leak-measured" and content["exit_code"] == 0
    run = content["variants"]["without"]
    assert len(run["measured"]) == len(run["predicted"]) == 60 and run["simulated_verdict"] == "leak"
    assert set(run["measured"][0]) == {"at_s", "allocated_bytes", "grown_bytes", "finished", "ended"}
