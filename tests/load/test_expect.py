"""Expectations on the command line:

a broken one is exit code 1, an undecidable one 2, an invalid one 3 before any load.
"""

from __future__ import annotations

from pathlib import Path

from tests.load.locust_run import LocustRun
from voxpool.sim.report.report import Check

LOAD = ("--headless", "-u", "10", "-r", "50", "-t", "2s", "--rate-per-user", "3", "--nodes", "5", "--with-scheduler")


def expecting(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--expect", text)]


def row(run: LocustRun, name: str) -> Check:
    return next(check for check in run.report().checks if check.name == name)


def test_a_broken_expectation_is_1_and_the_verdict_names_it(tmp_path: Path) -> None:
    """Work takes 50 ms, so half of the results cannot arrive within one ms."""
    limits = expecting("result.p50<1ms", "failures<=10%", "jobs.lost<1; rate>1/s")
    with LocustRun(tmp_path, *LOAD, *limits) as run:
        assert run.end() == 1, run.text
        check = row(run, "result.p50")
        assert (check.word, check.unit, check.limit) == ("broken", "ms", "< 1 ms")
        assert {row(run, name).word for name in ("failures", "jobs.lost", "rate", "other.failures")} == {"holds"}
        assert "does not hold (exit code 1): result.p50 " in run.text and " ms, below 1 ms expected" in run.text
        assert "✗ result.p50 " in run.text and "✓ jobs.lost " in run.text


def test_an_expectation_with_too_few_results_is_2(tmp_path: Path) -> None:
    with LocustRun(tmp_path, *LOAD, *expecting("failures<0.01%")) as run:
        assert run.end() == 2, run.text
        check = row(run, "failures")
        assert (check.word, check.figure) == ("unclear", 0)
        assert "30,000 are needed" in check.note
        assert "? failures " in run.text and "is unclear (exit code 2): failures: 0 of " in run.text


def test_an_invalid_expectation_is_3_in_one_line_without_any_load(tmp_path: Path) -> None:
    with LocustRun(tmp_path, *LOAD, *expecting("result.p9<1ms")) as run:
        assert run.end() == 3, run.text
        lines = [line for line in run.text.splitlines() if "result.p9" in line]
        assert len(lines) == 1
        assert lines[0].endswith("--expect result.p9<1ms: result.p9: no such figure; did you mean result.p99?")
        assert "total users" not in run.text and "Traceback" not in run.text
