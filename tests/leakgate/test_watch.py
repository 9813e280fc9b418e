"""The watch under failures: after each of them the verdict is unclear with a reason, never healthy."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.processes import wait_until
from tests.leakgate.readings import UNSWEPT, reading
from voxpool.leakgate.errors import Ended, NoReading, Restarted
from voxpool.leakgate.readings.series import Reading, Source
from voxpool.leakgate.watching.watch import NOTES_MAX, PAUSE_MAX_S, PAUSE_MIN_S, PAUSE_S, SILENT, Watch, pause_s


class Fake:
    """Stands for a reader: it has the next reading, or the exception to raise."""

    def __init__(self) -> None:
        self.number = 0
        self.error: Callable[[int], Exception] | None = None
        self.once: Exception | None = None
        self.closed = False

    def read(self) -> Reading:
        self.number += 1
        if self.once is not None:
            error, self.once = self.once, None
            raise error
        if self.error is not None:
            raise self.error(self.number)
        return reading(self.number, kept=None, work_bytes=None)

    def source(self) -> Source:
        return UNSWEPT

    def tracing(self) -> None:
        """Tracing is not supported."""

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake() -> Fake:
    """A healthy reader."""
    return Fake()


@contextlib.contextmanager
def watching(reader: Callable[[], Any], **options: Any) -> Iterator[Watch]:
    made = Watch(reader, every_s=0.001, **options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def is_clear(watch: Watch) -> bool:
    return watch.report().finding.verdict == "no leak"


def test_a_bug_of_the_watch_makes_the_verdict_unclear(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda hooked: raised.append(hooked.exc_value))
    with watching(lambda: fake) as watch:
        wait_until(lambda: is_clear(watch))
        fake.once = planted = ZeroDivisionError("planted")
        wait_until(lambda: not is_clear(watch))
    finding = watch.report().finding
    assert (finding.verdict, finding.reason) == ("unclear", "the memory watch broke: ZeroDivisionError('planted')")
    assert raised == [planted], "and it is reported"
    assert watch.report().curves is not None, "what was read is still shown"
    assert fake.closed


def test_failed_readings_make_the_verdict_unclear_and_their_reasons_are_bounded(fake: Fake) -> None:
    with watching(lambda: fake) as watch:
        wait_until(lambda: is_clear(watch))
        fake.error = lambda number: NoReading(f"/metrics: failure {number}")
        wait_until(lambda: watch.report().missed > max(watch.report().taken, 2 * NOTES_MAX))
    finding = watch.report().finding
    assert finding.verdict == "unclear" and "readings failed" in finding.reason
    assert len(finding.notes) == NOTES_MAX


def test_the_end_of_the_process_makes_the_verdict_unclear(fake: Fake) -> None:
    with watching(lambda: fake) as watch:
        assert wait_until(lambda: is_clear(watch), 10)
        fake.once = Ended("no process has the pid 7")
        assert wait_until(lambda: not watch.is_running, 10) and fake.closed
        finding = watch.report().finding
    assert finding.verdict == "unclear"
    assert finding.reason == "the process ended while it was watched: no process has the pid 7"


def test_a_silent_process_makes_the_verdict_unclear_until_it_answers_again(fake: Fake) -> None:
    with watching(lambda: fake) as watch:
        assert wait_until(lambda: is_clear(watch), 10)
        fake.error = lambda number: NoReading("refused")
        assert wait_until(lambda: not is_clear(watch), 10)
        assert watch.series.missed >= SILENT
        assert "readings failed: refused" in watch.report().finding.reason
        fake.error = None
        assert wait_until(lambda: is_clear(watch), 10)


def test_a_restarted_process_is_judged_from_its_restart(fake: Fake) -> None:
    with watching(lambda: fake) as watch:
        wait_until(lambda: is_clear(watch))
        before = watch.report().taken
        fake.once = Restarted("another process")
        wait_until(lambda: any("restarted" in note for note in watch.report().finding.notes))
        wait_until(lambda: is_clear(watch))
    first = watch.report().first
    assert first is not None and first.t_s > before


def test_a_restart_of_the_watch_discards_old_readings(fake: Fake) -> None:
    with watching(lambda: fake) as watch:
        wait_until(lambda: watch.report().taken > 20)
        watch.stop()
        fake.error = lambda _: NoReading("gone")
        watch.start()
        wait_until(lambda: watch.report().finding.reason == "gone")
        assert watch.report().curves is None and watch.report().finding.verdict == "unclear"


def test_a_reader_that_cannot_be_created_is_reported() -> None:
    def none() -> Fake:
        raise NoReading("there is no such pid")

    with watching(none) as watch:
        wait_until(lambda: watch.report().finding.reason == "there is no such pid")
        assert watch.report().finding.verdict == "unclear"


def test_nothing_is_judged_while_the_load_ends(fake: Fake) -> None:
    is_on = threading.Event()
    is_on.set()
    with watching(lambda: fake, is_loaded=is_on.is_set, load=lambda: 7.0) as watch:
        wait_until(lambda: is_clear(watch))
        is_on.clear()
        wait_until(lambda: (last := watch.report().last) is not None and not last.judged)
        wait_until(lambda: watch.report().taken >= watch.report().finding.readings + 10)
    assert watch.report().last is not None and is_clear(watch)


def test_the_times_of_readings_are_irregular_with_a_known_mean(fake: Fake) -> None:
    watch = Watch(lambda: fake, every_s=1.0)
    pauses = [watch._look(fake) for _ in range(300)]
    assert min(pauses) < 0.85 and max(pauses) > 1.15
    assert sum(pauses) / len(pauses) == pytest.approx(1.0, abs=0.05)


def test_the_pause_between_two_readings() -> None:
    assert pause_s(0.0) == PAUSE_S
    assert pause_s(12.0) == 3.0
    assert pause_s(60.0) == PAUSE_MAX_S
    assert pause_s(0.1) == PAUSE_MIN_S
    assert pause_s(60.0, 2.5) == 2.5
