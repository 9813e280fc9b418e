"""A run ends once the verdict on memory stays clear, not before its least time, and never on doubt."""

from __future__ import annotations

import threading

import pytest

from leakgate.finding import MemoryFinding
from leakgate.report import WatchReport
from loadtest.running._until_clear import CLEAR_LOOKS, UntilClear


class Run:
    """A run whose verdicts and clock are set by hand."""

    def __init__(self, least_s: float = 0.001) -> None:
        self.now_s = 0.0
        self.verdict = "unclear"
        self.read = 0
        self.ended = threading.Event()
        self.until_clear = UntilClear(self.report, self.ended.set, lambda: least_s, lambda: self.now_s)

    def report(self) -> WatchReport:
        return WatchReport(finding=MemoryFinding(verdict=self.verdict, reason=""), taken=self.read)

    def looks(self, *verdicts: str) -> list[bool]:
        """Look once for each verdict, a second and a reading later."""
        may_end = []
        for self.verdict in verdicts:
            self.now_s += 1
            self.read += 1
            may_end.append(self.until_clear.look())
        return may_end


@pytest.mark.parametrize("verdict", ["leak", "no leak"])
def test_a_verdict_that_stays_clear_ends_the_run(verdict: str) -> None:
    assert Run().looks(*["unclear"] * 5, *[verdict] * CLEAR_LOOKS) == [False] * (4 + CLEAR_LOOKS) + [True]


def test_doubt_never_ends_it() -> None:
    assert not any(Run().looks(*["unclear"] * 100))


def test_one_that_changes_its_mind_has_to_begin_again() -> None:
    assert not any(Run().looks(*["leak", "no leak", "unclear", "no leak"] * 20))


def test_it_lasts_as_long_as_it_was_told_to() -> None:
    may_end = Run(least_s=10).looks(*["leak"] * 12)
    assert may_end.index(True) == 9


def test_looking_twice_at_one_reading_is_no_more_evidence() -> None:
    run = Run()
    run.looks("leak")
    assert not any(run.until_clear.look() for _ in range(20))


def test_it_ends_the_run_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.running._until_clear.LOOK_S", 0.001)
    run = Run()
    run.until_clear.start()
    for run.verdict in ["leak"] * CLEAR_LOOKS:
        run.now_s += 1
        run.read += 1
        look_has_seen(run)
    assert run.ended.wait(10)
    run.until_clear.stop()


def look_has_seen(run: Run) -> None:
    """Wait until the newest reading was looked at."""
    done = threading.Event()
    report = run.report

    def seen() -> WatchReport:
        done.set()
        return report()

    run.until_clear._report = seen
    assert done.wait(10)


def test_without_a_least_time_nobody_looks() -> None:
    run = Run(least_s=0)
    run.until_clear.start()
    assert run.until_clear._thread is None
