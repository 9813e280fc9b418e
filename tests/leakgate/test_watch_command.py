"""`leakgate watch` on a foreign server under load: it finds each leak, passes the fixes, and handles every end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.leakgate.foreign import ROOT, TOKEN, Foreign, child, foreign, until
from tests.leakgate.four_leaks import LEAKS
from tests.leakgate.test_judge_command import leakgate
from tests.leakgate.traffic import traffic
from voxpool.leakgate.cli.root import main
from voxpool.leakgate.report.report import WatchReport

pytestmark = pytest.mark.early
CLEAR = ("--until-clear", "5s", "--at-most", "26s", "--every", "0.25s")
"""The time is too short to name lines, which takes another 22 s."""
MARKS = dict.fromkeys(("table", "hidden", "task"), pytest.mark.large)
"""test_locust_plugin.py finds the table from inside and the hidden leak by pid, test_no_leak.py finds all four."""


def by_pid(server: Foreign) -> list[str]:
    return ["--pid", str(server.popen.pid), "--metrics", server.metrics_url, "--work", "orders_total"]


def inside(server: Foreign) -> list[str]:
    return ["--url", server.report_url, "--token", TOKEN]


class Watching:
    """`leakgate watch` as a process, once it has begun."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "voxpool.leakgate", "watch", *arguments]
        self.popen = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> tuple[int, str]:
        """Return the exit code and the output."""
        out, err = self.popen.communicate(timeout=100)
        return self.popen.returncode, out + err


def verdicts(leak: str, mended: bool) -> tuple[tuple[int, str], tuple[int, str]]:
    """Return exit code and text of two watches at the same time: one by the server's pid, one by its own report."""
    with foreign(leak, mended) as server, traffic(server.port, rate=0 if leak == "table" else 200):
        outside, within = Watching(*by_pid(server), *CLEAR), Watching(*inside(server), *CLEAR)
        return outside.end(), within.end()


@pytest.mark.parametrize(
    "leak",
    [pytest.param(leak, marks=MARKS.get(leak, ())) for leak in sorted(LEAKS)],
)
def test_a_leak_is_found_by_pid_and_by_report(leak: str) -> None:
    (code, text), (code_within, text_within) = verdicts(leak, mended=False)
    assert (code, code_within) == (1, 1), text + text_within
    assert "only the RSS was read" in text and "only the RSS was read" not in text_within
    assert {"table": "table shop.orders", "task": "task wait_for_ever"}.get(leak, "allocated bytes") in text_within


def test_a_server_with_all_four_leaks_fixed_passes() -> None:
    (code, text), (code_within, text_within) = verdicts("all", mended=True)
    assert (code, code_within) == (0, 0), text + text_within


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.large), signal.SIGTERM])
def test_a_signal_ends_the_watch_with_its_current_verdict(tmp_path: Path, number: int) -> None:
    series, report, page = tmp_path / "a.csv", tmp_path / "a.json", tmp_path / "a.html"
    files = ["--csv", str(series), "--json", str(report), "--html", str(page)]
    with foreign("hidden") as server, traffic(server.port, rate=150):
        watching = Watching(*inside(server), "--for", "10m", "--every", "0.25s", *files)
        until(lambda: server.reports() >= 40, 90)
        watching.popen.send_signal(number)
        code, text = watching.end()
    assert code == 1 and text.startswith("leak: "), text
    assert msgspec.json.decode(report.read_bytes(), type=WatchReport).finding.verdict == "leak"
    assert "<svg" in page.read_text()
    again = leakgate("judge", series)
    assert again.returncode == 1 and again.stdout.startswith("leak: ")


def test_a_signal_at_once_is_no_evidence() -> None:
    with child("print(1, flush=True); input()") as process:
        watching = Watching("--pid", str(process.pid))
        until(lambda: _listens(watching.popen.pid))
        watching.popen.send_signal(signal.SIGTERM)
        code, text = watching.end()
    assert code == 2 and "unclear: " in text


def _listens(pid: int) -> bool:
    """True once the process handles SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in status if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_the_end_of_a_process_is_no_evidence_of_health() -> None:
    with foreign() as server:
        watching = Watching("--pid", str(server.popen.pid), *inside(server), "--for", "10m")
        until(lambda: server.reports() >= 3, 60)
        server.popen.kill()
        code, text = watching.end()
    assert code == 2 and "unclear: the process ended while it was watched" in text


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """Restore the signal handlers of this process, which the command replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_signals")
def test_an_unwatchable_process_is_wrong_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with foreign() as server:
        pid, metrics = str(server.popen.pid), server.metrics_url
        for arguments, error in (
            ([], "nothing to read"),
            (["--pid", "999999999"], "no process has the pid"),
            (["--pid", pid, "--work", "orders_total"], "not where they are"),
            (["--pid", pid, "--metrics", metrics, "--work", "order_total"], "the page has no metric order_total"),
            (["--pid", pid, "--metrics", metrics, "--work", "a{b}"], "the labels"),
            (["--url", server.report_url], "needs another token"),
            (["--url", server.report_url, "--token", "@/nowhere"], "can't be read"),
            (["--url", "http://127.0.0.1:1/"], "Connection refused"),
            (["--pid", pid, "--for", "soon"], "want a time above 0"),
            (["--pid", pid, "--for", "9s", "--until-clear", "9s"], "not both"),
            (["--pid", pid, "--at-most", "9s"], "--at-most needs --until-clear"),
            (["--pid", pid, "--bounded", "cache"], "want NAME=N"),
            (["--pid", pid, "--retention", "9s"], "--retention needs --cleanup-every"),
            (["--pid", pid, "--csv", str(tmp_path / "no" / "a.csv")], "No such file"),
        ):
            monkeypatch.setattr(sys, "argv", ["leakgate", "watch", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            out, err = capsys.readouterr()
            assert ended.value.code == 3 and error in err and not out, (arguments, err)
            assert len(err.splitlines()) == 1
