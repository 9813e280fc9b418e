"""The watch when things go wrong: whatever happens to it, the verdict is unclear and says why, never health."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from loadtest.memory._records import MemorySample
from loadtest.memory._source import MemorySource, NoReading, Watched
from loadtest.memory._watch import NOTES_MAX, MemoryWatch
from tests.live.processes import wait_until
from tests.load.memory_series import sample


class Fake:
    """Stands for the scheduler: what is read next, and when reading breaks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, interval_s: float = 0.0) -> None:
        self.number = 0
        self.broken: Exception | None = None
        monkeypatch.setattr(MemorySource, "meet", lambda source: Watched("1", interval_s, 5.0, "", 0.0))
        monkeypatch.setattr(MemorySource, "read", lambda source: (self._read(), False))

    def _read(self) -> MemorySample:
        if self.broken is not None:
            raise self.broken
        self.number += 1
        return sample(self.number, 0.0, jobs_finished=0)


def watching() -> MemoryWatch:
    made = MemoryWatch("http://127.0.0.1:1", "", "watch", time.monotonic, every_s=0.001)
    made.start()
    return made


def test_health_then_a_bug_of_the_watch_itself_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: said.append(told.exc_value))
    fake = Fake(monkeypatch)
    watch = watching()
    wait_until(lambda: watch.report().finding.verdict == "no leak")
    fake.broken = ZeroDivisionError("planted")
    wait_until(lambda: watch.report().finding.verdict == "unclear")
    watch.stop()
    assert watch.report().finding.reason == "the memory watch broke: ZeroDivisionError('planted')"
    assert said == [fake.broken], "and it is told"
    assert watch.report().raw is not None, "what was read is still shown"


def test_readings_that_fail_make_it_unclear_and_their_reasons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    Fake(monkeypatch)
    watch = watching()
    wait_until(lambda: watch.report().finding.verdict == "no leak")
    numbers = iter(range(10**6))
    monkeypatch.setattr(MemorySource, "read", lambda source: fake_failure(next(numbers)))
    wait_until(lambda: "readings failed" in watch.report().finding.reason)
    wait_until(lambda: watch.report().missed > 2 * NOTES_MAX)
    watch.stop()
    assert len(watch.report().finding.notes) == NOTES_MAX


def fake_failure(number: int) -> tuple[MemorySample, bool]:
    raise NoReading(f"/metrics: failure {number}")


def test_a_new_start_begins_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch)
    watch = watching()
    wait_until(lambda: len(watch.series.raw) > 20)
    watch.stop()
    fake.broken = NoReading("gone")
    watch.start()
    wait_until(lambda: watch.report().missed > 0)
    assert watch.report().raw is None and watch.report().finding.verdict == "unclear"
    watch.stop()


def test_off_reads_nothing() -> None:
    watch = MemoryWatch("http://127.0.0.1:1", "", "off", time.monotonic)
    watch.start()
    watch.stop()
    assert watch.report().finding.reason == "the memory watch is off"


def test_a_bad_file_of_certificates_is_told(tmp_path: Path) -> None:
    watch = MemoryWatch("https://127.0.0.1:1", "", "watch", time.monotonic, ca_file=str(tmp_path / "none.pem"))
    watch.start()
    wait_until(lambda: "none.pem" in watch.report().finding.reason)
    watch.stop()
    assert watch.report().finding.verdict == "unclear"
