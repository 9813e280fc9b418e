"""A run ends once the verdict on memory stays clear, not before its least time, and never on doubt. A leak that no
count names is named before a run ends, if there is time for that.
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
    """A run with a memory watch whose verdicts and clock are set by hand; each look finds a new reading."""

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
        """Look once for each verdict, a second and a reading later."""
        may_end = []
        for self.verdict in verdicts:
            may_end.append(self.until_clear.look())
        return may_end

    def goes_on(self, patience_s: float = 20.0) -> None:
        """Let it look by itself until it looks no more."""
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


def test_doubt_never_ends_it() -> None:
    assert not any(Run().looks(*["unclear"] * 100))


def test_one_that_changes_its_mind_has_to_begin_again() -> None:
    assert not any(Run().looks(*["leak", "no leak", "unclear", "no leak"] * 20))


def test_it_lasts_as_long_as_it_was_told_to() -> None:
    assert Run(least_s=10).looks(*["leak"] * 12).index(True) == 9


def test_looking_twice_at_one_reading_is_no_more_evidence() -> None:
    run = Run()
    run.looks("leak")
    one = run.report()
    run.until_clear._report = lambda: one
    run.until_clear.look()
    assert not any(run.until_clear.look() for _ in range(20))


@pytest.mark.usefixtures("quick")
def test_it_ends_the_run_by_itself_and_names_nothing_that_has_a_name() -> None:
    run = Run()
    run.verdict = "leak"
    run.goes_on()
    assert run.ended.is_set() and run.named_s == []
    assert [one.taken for one in run.settled] == [run.read], "a reading on its way to the end does not change it"


@pytest.mark.usefixtures("quick")
def test_the_end_waits_for_the_naming_of_a_leak_that_nothing_names() -> None:
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
def test_whoever_stops_it_while_a_leak_is_named_is_not_kept_waiting() -> None:
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
def test_a_run_of_fixed_time_names_a_leak_at_its_end_and_one_without_an_end_at_once(
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
    """Return a clock that goes on by half a second whenever it is read."""

    def seconds() -> float:
        run.now_s += 0.5
        return run.now_s

    return seconds


def test_nobody_looks_at_a_run_that_neither_ends_nor_may_be_slowed_by_a_naming() -> None:
    run = Run(least_s=0, may_name=False)
    run.until_clear.start()
    assert run.until_clear._thread is None
