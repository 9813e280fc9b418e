"""A real scheduler under a steady load with a memory watch, for tests and measurements of the verdict."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from tests.e2e.processes import Scheduler, wait_until
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.watching.watch import Watch
from voxpool.loadtest.memory._source import SchedulerReader

RATE_PER_S = 150.0
INTERVAL_S, RETENTION_S = 0.5, 1.5
SETTINGS = ("--cleanup-interval-s", f"{INTERVAL_S:g}", "--retention-s", f"{RETENTION_S:g}", "--finished-max", "0")


class LeakyServer(Scheduler):
    """A scheduler that keeps `leaked_bytes` of each job."""

    leaked_bytes: ClassVar[float] = 0.0

    @property
    def program(self) -> tuple[str, ...]:  # type: ignore[override]
        """The program to run."""
        return (sys.executable, "-m", "tests.load.leaky_server", f"{self.leaked_bytes:g}")


def leaking(bytes_a_job: float) -> type[LeakyServer]:
    """Return a scheduler that keeps `leaked_bytes` of each job; 0 = production's own."""
    return type(f"Leaks{bytes_a_job:g}", (LeakyServer,), {"leaked_bytes": bytes_a_job})


@contextlib.contextmanager
def steady_load(url: str, rate_per_s: float = RATE_PER_S) -> Iterator[subprocess.Popen[bytes]]:
    """Load the scheduler at `url`, evenly, until the end of the block."""
    program = (sys.executable, "-m", "tests.load.steady_jobs", url, f"{rate_per_s:g}")
    with subprocess.Popen(program, stderr=subprocess.PIPE) as load:
        try:
            yield load
            assert load.poll() is None, (load.stderr.read() if load.stderr else b"").decode()
        finally:
            load.terminate()


@contextlib.contextmanager
def watch(url: str, **options: Any) -> Iterator[Watch]:
    """Watch the scheduler at `url`."""
    made = Watch(lambda: SchedulerReader(url), **options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def until_clear(made: Watch, patience_s: float, is_enough: Callable[[WatchReport], bool]) -> WatchReport:
    """Return the report as soon as `enough` holds; after `patience_s` the last one."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: is_enough(made.report()), patience_s)
    return made.report()


def clear_after(readings: int) -> Callable[[WatchReport], bool]:
    """Return a condition: `readings` are judged and the verdict is clear."""
    return lambda report: report.finding.readings >= readings and report.finding.verdict != "unclear"


def measured(folder: Path, bytes_a_job: float, readings: int, patience_s: float, **options: Any) -> WatchReport:
    """Return the report of a watch, made with `options`, on a scheduler with a planted leak."""
    server = leaking(bytes_a_job)(folder, "memory", *SETTINGS)
    try:
        with steady_load(server.url), watch(server.url, **options) as made:
            return until_clear(made, patience_s, clear_after(readings))
    finally:
        server.stop()
