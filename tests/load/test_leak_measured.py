"""`voxpool-load leak-measured` with real servers, small; and a leak that is reported although memory is read slowly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.e2e.processes import Scheduler, descendants_of, runs, wait_until
from tests.load.locust_run import ROOT, LocustRun
from voxpool.scheduler.cli.exits import EXIT_INTERRUPTED

pytestmark = pytest.mark.early

SCENARIO = """
name = "small leak"
seed = 1
duration_s = 60
[settings]
retention_s = 1
cleanup_interval_s = 0.5
finished_max = 0
log_sample = 0
[[nodes]]
count = 10
pairs = ["load:test"]
slots = 2
[[traffic]]
pair = "load:test"
rate_per_s = 50
work_s = 0.05
audio_bytes = 200
"""
MEMBERS = 2
"""The number of processes below leak-measured under load: Locust, and the scheduler that Locust has started."""


class LeakMeasured:
    """One `voxpool-load leak-measured`. It runs within `with`; afterwards all its processes have ended."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out = folder / "out"
        self.log = folder / "leak-measured.log"
        command = [sys.executable, "-m", "voxpool.loadtest", "leak-measured", "--out", str(self.out), *arguments]
        with self.log.open("wb") as file:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=ROOT)

    def __enter__(self) -> LeakMeasured:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in [*descendants_of(self.popen.pid), self.popen.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()

    @property
    def text(self) -> str:
        """Return its output so far."""
        return self.log.read_text(errors="replace")

    @property
    def report(self) -> dict[str, Any]:
        """Return its report."""
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return found


def small_scenario(folder: Path) -> str:
    """Write a scenario with a sweep every half second; return its path."""
    file = folder / "small.toml"
    file.write_text(SCENARIO)
    return str(file)


def test_without_the_clean_up_a_real_server_leaks_like_the_simulated_one(tmp_path: Path) -> None:
    with LeakMeasured(
        tmp_path, "--scenario", small_scenario(tmp_path), "--variant", "without", "--least", "4"
    ) as run:  # fmt: skip
        assert run.popen.wait(100) == 1, run.text
        found = run.report["variants"]["without"]
        assert found["exit_code"] == 1 and found["finding"]["kind"] == "kept work"
        assert found["measured"][-1]["finished"] == found["measured"][-1]["ended"] > 0
        assert found["predicted"][-1]["finished"] == found["predicted"][-1]["ended"] > 0
        assert abs(found["predicted"][-1]["at_s"] - found["measured"][-1]["at_s"]) < 2
        assert {path.name for path in run.out.iterdir()} >= {"report.html", "allocated_bytes.svg", "resident_jobs.svg"}


def test_a_signal_ends_leak_measured_and_its_processes(tmp_path: Path) -> None:
    with LeakMeasured(tmp_path, "--scenario", small_scenario(tmp_path)) as run:
        wait_until(lambda: len(descendants_of(run.popen.pid)) >= MEMBERS, 60)
        started = descendants_of(run.popen.pid)
        run.popen.terminate()
        assert run.popen.wait(60) == EXIT_INTERRUPTED, run.text
        wait_until(lambda: not [pid for pid in started if runs(pid)])


@pytest.mark.large
@pytest.mark.timeout(1500)
def test_leak_measured_in_full_size(tmp_path: Path) -> None:
    """Both sides run in full size.

    There is a leak without the clean-up and none with it, and both match the simulation.
    """
    with LeakMeasured(tmp_path) as run:
        assert run.popen.wait(1400) == 0, run.text


class SlowMemory(Scheduler):
    """Production's scheduler, whose memory takes 0.7 s to read."""

    program = (sys.executable, "-m", "tests.load.slow_memory_server", "0.7", "0")


@pytest.mark.large
def test_a_leak_is_reported_although_the_memory_is_read_slowly(tmp_path: Path) -> None:
    """The watch is still reading when the run ends; the process waits for it and for the report."""
    never_swept = ("--cleanup-interval-s", "0", "--finished-max", "0", "--retention-s", "1")
    scheduler = SlowMemory(tmp_path, "memory", *never_swept)
    try:
        with LocustRun(
            tmp_path, "--headless", "-u", "50", "-r", "50", "-t", "90s", "--host", scheduler.url,
            "--gate", "memory", "--until-clear", "5",
        ) as run:  # fmt: skip
            assert run.end(150) == 1, run.text
            report = run.report()
            assert (report.exit_code, report.ended_by) == (1, "the verdict on memory is clear")
            assert report.memory is not None and report.memory.finding.verdict == "leak"
    finally:
        scheduler.stop()
