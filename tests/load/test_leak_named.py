"""A leak that shows in no table and no type is named by its line, in a normal run."""

from __future__ import annotations

import inspect
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench import planted_server
from tests.e2e.processes import Scheduler, wait_until
from tests.load.locust_run import LocustRun

LOAD = ("--headless", "-u", "10", "-r", "50", "--nodes", "2", "--rate-per-user", "8", "--work-ms", "5", "--seed", "3")
GATE = ("--gate", "memory", "--until-clear", "6", "-t", "300s")


class Leaky(Scheduler):
    """A scheduler that keeps 1,000 bytes of each job in hidden memory."""

    program = (sys.executable, "-m", "bench.planted_server", "hidden_1000")


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    scheduler = Leaky(
        tmp_path_factory.mktemp("leaky"), "memory", "--retention-s", "1", "--cleanup-interval-s", "0.5",
        "--finished-max", "0", patience_s=60,
    )  # fmt: skip
    yield scheduler
    scheduler.stop()


def planted_line() -> str:
    """Return the leaking line, as a report names it."""
    lines, first = inspect.getsourcelines(planted_server._fresh)
    place = next(number for number, line in enumerate(lines) if "randbytes" in line)
    return f"bench/planted_server.py:{first + place}"


def is_tracing(scheduler: Scheduler) -> bool:
    answer = httpx.get(
        scheduler.url + "/v1/debug/memory", params={"trace": "top", "types": "0"}, trust_env=False, timeout=60
    )
    return answer.status_code == 200


@pytest.mark.alone
@pytest.mark.early
@pytest.mark.timeout(400)
def test_a_hidden_leak_is_named_by_its_line_before_the_run_ends(leaky: Scheduler, tmp_path: Path) -> None:
    with LocustRun(tmp_path, *LOAD, *GATE, "--host", leaky.url) as run:
        assert run.end(300) == 1, run.text
        report = run.report()
        assert report.memory is not None
        finding = report.memory.finding
        assert (finding.verdict, finding.kind) == ("leak", "objects"), run.text
        assert finding.lines and finding.lines[0].where.endswith(planted_line()), finding
        assert 900 < finding.lines[0].a_unit < 1200
        assert not is_tracing(leaky)
        for text in (run.text, (run.folder / "report.html").read_text()):
            assert re.search(rf"memory: leak: .*{planted_line()} \([\d,]+ B a job\)", text), run.text


@pytest.mark.large
@pytest.mark.timeout(400)
def test_a_signal_during_the_naming_ends_the_run_with_the_leak_and_stops_the_tracing(
    leaky: Scheduler, tmp_path: Path
) -> None:
    with LocustRun(tmp_path, *LOAD, *GATE, "--host", leaky.url) as run:
        wait_until(lambda: "allocations are traced" in run.text or run.popen.poll() is not None, 200)
        wait_until(lambda: is_tracing(leaky) or run.popen.poll() is not None)
        run.signal(signal.SIGINT)
        assert run.end() == 1, run.text
        assert run.facts()["memory"]["finding"]["verdict"] == "leak"
        assert not is_tracing(leaky)
