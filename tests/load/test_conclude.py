"""The end of a test, with invented figures: the contents of the verdict, the report and the log."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.unit.load_reports import load_report
from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.measuring._part import Figures
from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.report._records import Generator, LoadReport, Operation, read_report
from voxpool.loadtest.report._reporting import Reporting
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.verdict._conclude import Conclusion


def concluded(folder: Path, figures: Figures, memory: str = "no leak", **options: Any) -> LoadReport:
    """Return the report of a run with the measured `figures` and the `memory` finding."""
    given = LoadOptions(**options)
    environment = SimpleNamespace(parsed_options=Namespace(**msgspec.to_builtins(given)))
    context = Context(environment, SimpleNamespace(exceptions={}), None, "local", given, folder=folder)
    measuring = SimpleNamespace(figures=lambda: figures)
    reporting = Reporting(context, measuring, SimpleNamespace(seen={}, unreadable=""))  # type: ignore[arg-type]
    watch = SimpleNamespace(report=lambda **_: WatchReport(finding=MemoryFinding(verdict=memory, reason="as planted")))
    code = Conclusion(context, reporting, watch).conclude()
    report = read_report(folder)
    assert code == report.exit_code
    return report


def figures(*operations: Operation, was_limit: bool = False) -> Figures:
    """Return the figures of a run with these operations; without any, those of a run of 100 jobs a second."""
    made = load_report(1)
    assert made.jobs is not None
    return Figures(
        duration_s=made.duration_s,
        users_max=50,
        operations=list(operations) or made.operations,
        errors=[],
        windows=made.windows,
        arrivals=made.arrivals,
        jobs=msgspec.structs.replace(made.jobs, submitted=0, completed=0) if operations else made.jobs,
        generator=Generator(was_limit=was_limit, reasons=["its core was full"] if was_limit else []),
        served={},
    )


def operation(kind: str, name: str, requests: int, failures: int = 0) -> Operation:
    return Operation(type=kind, name=name, requests=requests, failures=failures, rate_per_s=1.0)


IDLE = (operation("NODE", "heartbeat", 500), operation("NODE", "result", 3), operation("WS", "connect", 200))


@pytest.mark.parametrize("gate", ["load", "memory", "all"])
def test_connects_and_heartbeats_are_no_evidence(gate: str, tmp_path: Path) -> None:
    report = concluded(tmp_path, figures(*IDLE), gate=gate)
    assert (report.verdict, report.exit_code) == ("unclear", 2)
    assert report.why.startswith("no job ended: ")


def test_a_run_with_results_passes(tmp_path: Path) -> None:
    assert concluded(tmp_path, figures()).exit_code == 0


def test_with_the_memory_gate_a_failed_request_does_not_decide(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = (operation("WS", "submit", 100, 1), operation("WS", "result", 99))
    assert concluded(tmp_path / "load", figures(*failing)).exit_code == 1
    report = concluded(tmp_path / "memory", figures(*failing), gate="memory")
    assert (report.exit_code, report.why) == (0, "no leak")
    failures = next(check for check in report.checks if check.name == "failures")
    assert not failures.ok and not failures.decides
    assert "broken, does not decide" in (tmp_path / "memory" / "report.html").read_text()
    assert "does not decide with --gate memory: failures 1 %, at most 0 % allowed" in caplog.text


@pytest.mark.parametrize(("memory", "code"), [("leak", 1), ("no leak", 2), ("unclear", 2)])
def test_a_generator_at_its_limit_is_never_no_leak(memory: str, code: int, tmp_path: Path) -> None:
    assert concluded(tmp_path, figures(was_limit=True), memory, gate="memory").exit_code == code


@pytest.mark.parametrize(("gate", "code"), [("memory", 1), ("all", 1), ("load", 0)])
def test_a_leak_is_in_the_verdict_line_and_at_the_top_of_the_page(
    gate: str, code: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the gate on the load it does not decide, but is reported all the same."""
    caplog.set_level("INFO", logger="voxpool.load")
    report = concluded(tmp_path, figures(), memory="leak", gate=gate)
    assert report.exit_code == code
    message = [report.why, *report.notes] if gate == "load" else [report.why]
    assert any("memory: leak: as planted" in text for text in message)
    assert "memory: leak: as planted" in caplog.text
    assert "memory: leak: as planted" in (tmp_path / "report.html").read_text().partition("Load generator")[0]
