"""Expectations on the command line of a real run: what is broken decides, and what so few results can't tell is shown.

Exit codes of all verdicts: test_verdict.py. Invalid expectations: test_options.py.
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
    """Work takes 50 ms, so half of the results cannot arrive within one ms. Some 60 results say nothing of 0.01 %."""
    limits = expecting("result.p50<1ms", "failures<0.01%", "jobs.lost<1; rate>1/s")
    with LocustRun(tmp_path, *LOAD, *limits) as run:
        assert run.end() == 1, run.text
        check = row(run, "result.p50")
        assert (check.word, check.unit, check.limit) == ("broken", "ms", "< 1 ms")
        assert {row(run, name).word for name in ("jobs.lost", "rate", "other.failures")} == {"holds"}
        assert "does not hold (exit code 1): result.p50 " in run.text and " ms, below 1 ms expected" in run.text
        assert "✗ result.p50 " in run.text and "✓ jobs.lost " in run.text and "? failures " in run.text
        unclear = row(run, "failures")
        assert (unclear.word, unclear.figure) == ("unclear", 0)
        assert "30,000 are needed" in unclear.note
