"""The experiment `overload` at a small size: rejections and waits of production match M/M/c/K."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voxpool.sim.experiments.experiment import Options
from voxpool.sim.experiments.overload.question import QUICK, Found, one_run, report_of, waiting_max
from voxpool.sim.experiments.overload.short_timeouts import REFUSES, ShortJobs, lines_of, short_jobs
from voxpool.sim.report.report import WITH, WITHOUT, Outcome
from voxpool.sim.report.theory import bounded_queue, erlang_c_wait

SIZE = replace(QUICK, duration_s=150.0, loads=(0.8, 5.0))


@pytest.fixture(scope="module")
def found() -> dict[str, Found]:
    return {
        f"{side} {load:g}": one_run(SIZE, load, 1, "memory", side, lambda _share: None)
        for load in SIZE.loads
        for side in (WITHOUT, WITH)
    }


def test_production_matches_the_prediction(found: dict[str, Found]) -> None:
    report = report_of(Options(), SIZE, found)
    assert report.outcome is Outcome.HOLDS, [check for check in report.checks if not check.ok]
    assert found["with 5"].completed >= 0.99 > found["without 5"].completed
    (picture,) = (draw() for draw in report.pictures)
    assert "load 5" in picture.svg


def test_a_side_without_rejections_is_broken(found: dict[str, Found]) -> None:
    useless = {**found, "with 5": found["without 5"]}
    assert report_of(Options(), SIZE, useless).outcome is Outcome.BROKEN


def test_a_pool_below_its_limit_rejects_nothing(found: dict[str, Found]) -> None:
    assert found["with 0.8"].refused == 0 and found["with 0.8"].completed == 1


def test_the_bounded_queue_is_erlang_c_without_a_bound_and_rejects_the_excess() -> None:
    refused, wait_s = bounded_queue(10, 0.8, 0.5, 1000)
    assert refused < 1e-30 and wait_s == pytest.approx(erlang_c_wait(10, 0.8, 0.5), rel=1e-9)
    refused, wait_s = bounded_queue(10, 5.0, 0.5, 160)
    assert refused == pytest.approx(0.8, rel=1e-9)
    assert wait_s == pytest.approx((160 - 0.25) / 20, rel=1e-6), "the queue is full but for 1 / (load - 1) jobs"
    assert bounded_queue(1, 0.5, 1.0, 0)[0] == pytest.approx(1 / 3), "Erlang B of one server"


def test_the_stricter_limit_is_the_shorter_queue() -> None:
    assert waiting_max(SIZE, 0.005) < waiting_max(SIZE, 0.5) == pytest.approx(200, abs=5)


@pytest.fixture(scope="module")
def short() -> dict[str, ShortJobs]:
    return {
        f"{side} even work": short_jobs("even work", 150.0, 1, "memory", side, lambda _share: None)
        for side in (WITHOUT, REFUSES, WITH)
    }


def test_a_job_that_would_end_too_late_gives_its_slot_to_one_that_is_in_time(short: dict[str, ShortJobs]) -> None:
    """Most of it comes from rejections; giving up jobs that wait too long brings the rest, and nothing is worked on in
    vain.
    """
    accepts_all, refuses, gives_up = (short[f"{side} even work"] for side in (WITHOUT, REFUSES, WITH))
    assert accepts_all.in_vain > 0.8 * accepts_all.made and gives_up.in_vain == 0 < refuses.in_vain
    assert gives_up.in_time >= refuses.in_time > 5 * accepts_all.in_time
    assert gives_up.broken == refuses.broken == 0


@pytest.mark.parametrize(("accepted_all", "gave_up", "is_kept"), [(50, 510, True), (60, 510, False), (50, 490, False)])
def test_a_side_that_gives_up_too_much_is_broken(accepted_all: int, gave_up: int, is_kept: bool) -> None:
    """It is compared with a pool that rejects nothing (10 times), and with one that only rejects (99 %)."""
    jobs = {WITHOUT: accepted_all, REFUSES: 500, WITH: gave_up}
    short = {f"{side} even work": ShortJobs(1000, in_time) for side, in_time in jobs.items()}
    line = next(line for line in lines_of("overload", short) if "even work: of these completed" in line.name)
    assert line.kept() is is_kept
