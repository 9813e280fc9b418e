"""A scheduler that stalls for a while: the report includes all jobs that had to wait, and a comparison finds it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Scheduler, wait_until
from tests.load.locust_run import LocustRun
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.report._records import LoadReport

pytestmark = pytest.mark.alone

STALL_S = 2.0


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler of its own, without nodes."""
    running = Scheduler(tmp_path, "memory")
    yield running
    running.popen.send_signal(signal.SIGCONT)
    running.stop()


def stand_still(process: Scheduler | LocustRun, seconds: float) -> None:
    """Stop it for `seconds`: it reads nothing, and the kernel buffers what is sent to it."""
    process.popen.send_signal(signal.SIGSTOP)
    end_s = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end_s)
    process.popen.send_signal(signal.SIGCONT)


def slow_results(report: LoadReport, above_s: float) -> int:
    """Return how many results took longer than `seconds`."""
    return sum(
        count
        for operation in report.operations
        if operation.name == "result" and operation.type != "NODE"
        for low, _, count in Histogram.unpacked(operation.histogram).buckets()
        if low >= above_s * 1e6
    )


def test_a_stall_shows_in_all_jobs_that_were_due_during_it(scheduler: Scheduler, tmp_path: Path) -> None:
    """In a closed model ten clients would have ten slow results; in the open model all due jobs are slow."""
    users, rate_per_s = 10, 4.0
    with LocustRun(
        tmp_path, "--headless", "-u", str(users), "-r", "10", "-t", "9s", "--rate-per-user", str(rate_per_s),
        "--http-share", "0", "--host", scheduler.url,
    ) as run:  # fmt: skip
        wait_until(lambda: scheduler.get("/v1/jobs?limit=1")["total"] >= users)
        stand_still(scheduler, STALL_S)
        assert run.end(60) == 0, run.text
        report = run.report()
    # Jobs due in the first 1.5 s of the stall waited for half a second at least.
    due = users * rate_per_s * (STALL_S - 0.5)
    assert slow_results(report, 0.5) > due / 2 > users
    assert max(one.latency_s.max for one in report.operations if one.name == "result" and one.latency_s) > 0.9 * STALL_S


def test_a_stalled_generator_reports_that_it_was_the_limit(scheduler: Scheduler, tmp_path: Path) -> None:
    """Jobs due during the stall are sent late and counted, so the scheduler is not blamed."""
    with LocustRun(
        tmp_path, "--headless", "-u", "10", "-r", "10", "-t", "5s", "--rate-per-user", "4", "--host", scheduler.url
    ) as run:  # fmt: skip
        wait_until(lambda: scheduler.get("/v1/jobs?limit=1")["total"] >= 10)
        stand_still(run, 1.0)
        assert run.end(60) == 0, run.text
        report = run.report()
    assert report.arrivals is not None
    assert report.arrivals.late > 10
    assert report.arrivals.sent == report.arrivals.intended
    assert report.generator.was_limit
    assert any("arrivals were sent more than 100 ms after their time" in reason for reason in report.generator.reasons)
    assert "The load generator was the limit" in run.text


@pytest.mark.large
def test_steps_find_the_knee_below_the_capacity_of_a_node(scheduler: Scheduler, tmp_path: Path) -> None:
    """One slot at 50 ms a job does 20 a second: 12 are in time, 24 are not."""
    with LocustRun(
        tmp_path, "--headless", "--shape", "steps", "-u", "24", "-r", "24", "--steps", "2", "--step-s", "16",
        "--rate-per-user", "1", "--nodes", "1", "--slots", "1", "--work", "even", "--work-ms", "50",
        "--knee-ms", "1500", "--host", scheduler.url,
    ) as run:  # fmt: skip
        assert run.end(100) == 0, run.text
        report = run.report()
    assert report.knee is not None
    assert [step.users for step in report.knee.steps] == [12, 24]
    assert (report.knee.knee, report.knee.is_reached) == (0, True)
    assert report.knee.steps[1].rate_per_s < 20.5


@pytest.mark.large
@pytest.mark.timeout(600)
def test_compare_passes_the_same_scheduler_and_finds_a_stalling_one(scheduler: Scheduler, tmp_path: Path) -> None:
    """There are three runs of 80 s: two are alike, and in one the scheduler stalls for 0.1 s of every 0.6 s."""
    folders = {}
    for name in ("a", "same", "stutters"):
        done = threading.Event()
        stutter = threading.Thread(target=_stutter, args=(scheduler, done))
        with LocustRun(
            tmp_path, "--headless", "-u", "60", "-r", "60", "-t", "80s", "--host", scheduler.url, name=name
        ) as run:  # fmt: skip
            if name == "stutters":
                stutter.start()
            try:
                assert run.end(150) == 0, run.text
            finally:
                done.set()
                if stutter.ident is not None:
                    stutter.join()
        folders[name] = run.folder
    assert _compare(folders["a"], folders["same"]) == 0
    assert _compare(folders["a"], folders["stutters"]) == 1


def _stutter(scheduler: Scheduler, done: threading.Event) -> None:
    while not done.wait(0.5):
        stand_still(scheduler, 0.1)


def _compare(a: Path, b: Path) -> int:
    command = [sys.executable, "-m", "voxpool.loadtest", "compare", str(a), str(b)]
    return subprocess.run(command, check=False, timeout=60).returncode
