"""`voxpool-sim run`: runs without evidence, and skipped checkers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxpool.sim.cli.root import main

NODES = """
name = "small"
duration_s = 60
[[nodes]]
count = 1
pairs = ["zh:en"]
"""
SERVED = """
[[traffic]]
pair = "zh:en"
rate_per_s = 0.5
work_s = 1.0
"""
UNSERVED = SERVED.replace("zh:en", "en:zh")
NONE_SUBMITTED = "no job was submitted: the scenario has no traffic, or its traffic is too rare for its duration_s"
NOBODY = "no node serves en:zh: none of its jobs can complete"
EMPTY_TABLES = "every table is empty after drain and grace"


class Ran:
    """What one run of the command wrote into `folder` and printed."""

    def __init__(self, folder: Path, exit_code: object, printed: str) -> None:
        self.exit_code = exit_code
        self.text = " ".join(printed.split())
        self.lines = printed.splitlines()
        self.page = (folder / "out" / "report.html").read_text()
        self.json: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())

    def row(self, name: str) -> str:
        """Return the line of the table for `name`."""
        (found,) = (line for line in self.lines if name in line and "│" in line)
        return found


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a scenario, with further words of the command line."""

    def run(scenario: str, *words: str) -> Ran:
        path = tmp_path / "small.toml"
        path.write_text(scenario)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["voxpool-sim", "run", str(path), "--out", str(tmp_path / "out"), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert printed.err == ""
        return Ran(tmp_path, ended.value.code, printed.out)

    return run


@pytest.mark.parametrize(
    ("scenario", "why"),
    [(NODES, NONE_SUBMITTED), (NODES + UNSERVED, NOBODY), (NODES + SERVED + UNSERVED, NOBODY)],
    ids=["no traffic", "a pair that nobody serves", "a served pair beside it"],
)
def test_a_run_without_completed_jobs_of_a_stream_is_unclear(scenario: str, why: str, run: Run, tmp_path: Path) -> None:
    ran = run(scenario)
    assert ran.exit_code == 2
    assert "unclear (exit 2): " in ran.text and why in ran.text
    assert why in ran.page
    assert (ran.json["verdict"], ran.json["exit_code"]) == ("unclear", 2)
    assert any(why in reason for reason in ran.json["unproven"])
    assert ran.lines[-1] == f"again: voxpool-sim run {tmp_path / 'small.toml'} --seed 1 --store memory"


def test_a_served_pair_of_which_no_job_completes_is_unclear(run: Run) -> None:
    ran = run(NODES + SERVED + "timeout_s = 0.5\n")
    assert ran.exit_code == 2
    assert "no job completed: " in ran.text and "failed" in ran.text


def test_a_scenario_that_expects_no_completed_job_passes_without_one(run: Run) -> None:
    ran = run(NODES + UNSERVED + '[expect]\ncompleted_jobs = "== 0"\n')
    assert ran.exit_code == 0
    assert ran.json["unproven"] == []


def test_a_skipped_checker_is_reported_with_what_was_checked(run: Run) -> None:
    ran = run(NODES + SERVED, "--without", "M1")
    assert ran.exit_code == 2
    row = ran.row("broken: every table is empty")
    assert "not checked" in row and "holds" not in row
    assert "cleanup_interval_s = 0" in ran.text
    heading = next(line for line in ran.lines if "figure" in line)
    assert "without M1" in heading and "with " not in heading.replace("without", "")
    (check,) = (check for check in ran.json["checks"] if EMPTY_TABLES in check["name"])
    assert (check["ok"], check["figure"]) == (False, None)
    assert "cleanup_interval_s = 0" in check["not_checked"]
    without = ran.json["variants"]["without"]
    assert without["checkers"][EMPTY_TABLES] is None
    assert list(without["not_checked"]) == [EMPTY_TABLES]
    assert "not checked" in ran.page and "cleanup_interval_s = 0" in ran.page and ">without M1</th>" in ran.page


def test_a_broken_expectation_takes_precedence_over_a_skipped_checker(run: Run) -> None:
    ran = run(NODES + SERVED + '[expect]\n"resident.jobs_end" = "== 0"\n', "--without", "M1", "--quick")
    assert ran.exit_code == 1
    assert "not checked" in ran.row("broken: every table is empty")
    assert ran.lines[-1].startswith("again: voxpool-sim replay ")
