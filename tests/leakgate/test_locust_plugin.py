"""The plugin of Locust: a run of an ordinary locustfile finds the leak of its server; unused it has no effect."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leakgate.foreign import ROOT, TOKEN, Foreign, foreign, until

pytestmark = pytest.mark.early
INSIDE = ["--leak-token", TOKEN, "--leak-gate", "--leak-every", "0.25"]


class Run:
    """Locust without a page."""

    def __init__(self, host: str, *options: str, seconds: int = 10) -> None:
        command = [sys.executable, "-m", "locust", "-f", "tests/leakgate/locustfile.py", "--headless", "--host", host]
        command += ["-u", "2", "-r", "2", "-t", f"{seconds}s", "--only-summary", *options]
        self.popen = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self) -> tuple[int, str]:
        """Return the exit code and the output."""
        out, _ = self.popen.communicate(timeout=100)
        return self.popen.returncode, out


def by_pid(server: Foreign) -> list[str]:
    return ["--leak-pid", str(server.popen.pid), "--leak-gate", "--leak-every", "0.25"]


def inside(server: Foreign) -> list[str]:
    return ["--leak-url", server.report_url, *INSIDE]


def test_a_leak_ends_a_gated_run_with_1_and_its_fix_with_0(tmp_path: Path) -> None:
    page = tmp_path / "memory.html"
    with foreign("hidden") as leaky, foreign("hidden", mended=True) as mended:
        runs = [Run(one.url, *by_pid(one), "--leak-html", str(page)) for one in (leaky, mended)]
        (code, text), (code_mended, text_mended) = [run.end() for run in runs]
    assert code == 1 and "Memory of the server: leak: RSS" in text, text
    assert ") a request, " in text, "the requests that succeeded are the work"
    assert "<svg" in page.read_text() and "HTTP Request" not in text
    assert code_mended == 0 and "Memory of the server: no leak" in text_mended, text_mended


def test_by_pid_a_short_run_is_unclear_which_counts_with_the_gate_only() -> None:
    with foreign() as server:
        pid = ["--leak-pid", str(server.popen.pid)]
        runs = [Run(server.url, *pid, *gate, seconds=3) for gate in ([], ["--leak-gate"])]
        ends = [run.end() for run in runs]
    assert [code for code, _ in ends] == [0, 2]
    assert all("Memory of the server: unclear: too little evidence" in text for _, text in ends)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.large), signal.SIGTERM])
def test_a_signal_ends_a_gated_run_with_2_until_there_is_a_verdict(number: int) -> None:
    with foreign() as server:
        run = Run(server.url, *inside(server), seconds=600)
        until(lambda: server.reports() >= 2, 60)
        run.popen.send_signal(number)
        code, text = run.end()
    assert code == 2 and "Memory of the server: unclear" in text, text


def test_a_server_that_goes_away_is_no_evidence() -> None:
    with foreign() as server:
        run = Run(server.url, *inside(server), seconds=8)
        until(lambda: server.reports() >= 3, 60)
        server.popen.kill()
        code, text = run.end()
    assert code == 2 and "Memory of the server: unclear" in text, text


def test_with_workers_the_master_watches_and_counts() -> None:
    with foreign("table") as server:
        run = Run(server.url, *inside(server), "--processes", "2", seconds=14)
        code, text = run.end()
    assert code == 1 and text.count("Memory of the server: ") == 1, text
    assert "table shop.orders" in text


def test_the_unused_plugin_prints_nothing() -> None:
    with foreign("hidden") as server:
        code, text = Run(server.url, seconds=1).end()
        reports = server.reports()
    assert code == 0 and "leak" not in text.lower() and reports == 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--leak-gate"], "--leak-gate needs --leak-pid, --leak-url or --leak-metrics"),
        (["--leak-pid", "999999999"], "no process has the pid"),
        (["--leak-pid", "1", "--leak-work", "a"], "not where they are"),
    ],
)
def test_wrong_options_end_the_run_before_any_load(options: list[str], error: str) -> None:
    code, text = Run("http://127.0.0.1:1", *options).end()
    assert code == 3 and "leakgate: " in text and error in text and "Traceback" not in text
