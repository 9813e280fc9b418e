"""A run ends once the memory verdict stays clear, not before its minimum time, and never while it is unclear.

A leak that no count shows is named before the run ends, if there is time for it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Literal

import pytest

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.watching import until_clear
from voxpool.leakgate.watching.until_clear import CLEAR_LOOKS, UntilClear

NAMING_S = 30.0


class Run:
    """A run with a memory watch whose verdicts and clock the test sets; each look finds a new reading."""

    naming_s = NAMING_S

    def __init__(self, least_s: float = 0.001, lasts_s: float = 600.0, may_name: bool = True) -> None:
        self.now_s = 0.0
        self.verdict = "unclear"
        self.kind: Literal["objects", "native"] = "native"
        self.read = 0
        self.second_a_look = 1.0
        self.named_s: list[float] = []
        self.settled: list[WatchReport] = []
        self.ended = threading.Event()
        self.until_clear = UntilClear(
            self.report, self, self.ended.set, lambda: least_s, lambda: lasts_s, lambda: may_name, lambda: self.now_s
        )

    def report(self) -> WatchReport:
        self.read += 1
        self.now_s += self.second_a_look
        return WatchReport(finding=MemoryFinding(verdict=self.verdict, reason="", kind=self.kind), taken=self.read)

    def settle(self, report: WatchReport) -> None:
        self.settled.append(report)

    def name_lines(self) -> None:
        assert self.settled, "what is read while allocations are traced must not be judged"
        self.named_s.append(self.now_s)

    @property
    def is_naming(self) -> bool:
        self.now_s += self.second_a_look
        return bool(self.named_s) and self.now_s < self.named_s[0] + NAMING_S

    def looks(self, *verdicts: str) -> list[bool]:
        """Look once for each verdict, with a second and a reading in between."""
        may_end = []
        for self.verdict in verdicts:
            may_end.append(self.until_clear.look())
        return may_end

    def goes_on(self, patience_s: float = 20.0) -> None:
        """Let it look until it stops by itself."""
        self.until_clear.start()
        thread = self.until_clear._thread
        assert thread is not None
        thread.join(patience_s)
        assert not thread.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once; the clock of a Run counts them."""
    monkeypatch.setattr(until_clear, "LOOK_S", 0.0001)
    monkeypatch.setattr(until_clear, "LOOK_ENDLESS_S", 0.0001)


@pytest.mark.parametrize("verdict", ["leak", "no leak"])
def test_a_verdict_that_stays_clear_ends_the_run(verdict: str) -> None:
    assert Run().looks(*["unclear"] * 5, *[verdict] * CLEAR_LOOKS) == [False] * (4 + CLEAR_LOOKS) + [True]


def test_an_unclear_verdict_never_ends_a_run() -> None:
    assert not any(Run().looks(*["unclear"] * 100))


def test_a_changed_verdict_starts_the_wait_again() -> None:
    assert not any(Run().looks(*["leak", "no leak", "unclear", "no leak"] * 20))


def test_a_run_lasts_its_minimum_time() -> None:
    assert Run(least_s=10).looks(*["leak"] * 12).index(True) == 9


def test_two_looks_at_one_reading_count_once() -> None:
    run = Run()
    run.looks("leak")
    one = run.report()
    run.until_clear._report = lambda: one
    run.until_clear.look()
    assert not any(run.until_clear.look() for _ in range(20))


@pytest.mark.usefixtures("quick")
def test_a_named_leak_ends_the_run_without_naming_lines() -> None:
    run = Run()
    run.verdict = "leak"
    run.goes_on()
    assert run.ended.is_set() and run.named_s == []
    assert [one.taken for one in run.settled] == [run.read], "a reading on its way to the end does not change it"


@pytest.mark.usefixtures("quick")
def test_the_end_waits_for_the_naming_of_an_unnamed_leak() -> None:
    run = Run()
    run.verdict, run.kind = "leak", "objects"
    run.goes_on()
    assert len(run.named_s) == 1 and run.ended.is_set()
    assert run.now_s >= run.named_s[0] + NAMING_S


@pytest.mark.usefixtures("quick")
def test_a_run_whose_time_is_too_short_for_the_naming_ends_at_once() -> None:
    run = Run(lasts_s=NAMING_S)
    run.verdict, run.kind = "leak", "objects"
    run.goes_on()
    assert run.ended.is_set() and run.named_s == []


@pytest.mark.usefixtures("quick")
def test_a_stop_during_the_naming_is_not_delayed() -> None:
    run = Run()
    run.verdict, run.kind, run.second_a_look = "leak", "objects", 0.001
    run.until_clear.start()
    naming = threading.Event()
    run.name_lines = lambda: (run.named_s.append(run.now_s), naming.set())  # type: ignore[method-assign, assignment, func-returns-value]
    assert naming.wait(20)
    run.until_clear.stop()
    assert not run.ended.is_set()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("lasts_s", "from_s", "to_s"), [(600.0, 600 - 20 - NAMING_S, 600 - NAMING_S), (math.inf, 0, 9)]
)
def test_a_leak_is_named_at_the_end_of_a_fixed_time_or_at_once_without_one(
    lasts_s: float, from_s: float, to_s: float
) -> None:
    run = Run(least_s=0, lasts_s=lasts_s)
    run.until_clear._seconds = tick(run)
    run.verdict, run.kind = "leak", "objects"
    run.goes_on()
    assert len(run.named_s) == 1 and from_s <= run.named_s[0] <= to_s
    assert not run.ended.is_set(), "the run ends by its time"


@pytest.mark.usefixtures("quick")
def test_a_run_of_fixed_time_without_a_leak_names_nothing() -> None:
    run = Run(least_s=0, lasts_s=100)
    run.until_clear._seconds = tick(run)
    run.verdict = "no leak"
    run.goes_on()
    assert run.named_s == [] and not run.ended.is_set()


def tick(run: Run) -> Callable[[], float]:
    """Return a clock that advances by half a second at each reading."""

    def seconds() -> float:
        run.now_s += 0.5
        return run.now_s

    return seconds


def test_no_watcher_runs_when_neither_end_nor_naming_is_wanted() -> None:
    run = Run(least_s=0, may_name=False)
    run.until_clear.start()
    assert run.until_clear._thread is None
