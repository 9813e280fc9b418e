"""Spans are exported in a bounded thread; each one is counted as exported, failed or dropped, and losses are logged."""

from __future__ import annotations

import io
import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.e2e.processes import wait_until
from tests.unit.fakes import HandClock
from tests.unit.metrics_rig import parsed
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.telemetry.logs.log import Log, open_log
from voxpool.scheduler.telemetry.traces.span_ship import BATCH_MAX, TELL_S, SpanShip
from voxpool.scheduler.telemetry.traces.spans import Span
from voxpool.scheduler.telemetry.traces.tracing import open_tracing

PATIENCE_S = 10.0


def span(number: int) -> Span:
    """Return a span that its id identifies."""
    return Span("voxpool.job", 1, number, 0, 1, 2, {})


class Exporter:
    """Accepts spans once `gate` is open; reports success unless `is_away`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.is_away = False
        self.aborted = False

    def export(self, batch: Sequence[Span]) -> str:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        self.batches.append([one.span for one in batch])
        return "away" if self.is_away else ""

    def abort(self) -> None:
        self.aborted = True
        self.gate.set()


class Ship:
    """A ship with its exporter and its log."""

    def __init__(self, spans_max: int) -> None:
        self.stream = io.BytesIO()
        self.exporter = Exporter()
        self.now_s = 0.0
        self.ship = SpanShip(self.exporter, spans_max, log_of(self.stream), lambda: self.now_s)

    def counts(self) -> dict[str, float]:
        """Return the values of the metrics."""
        registry = CollectorRegistry()
        registry.register(self.ship)
        found = parsed(generate_latest(registry).decode())
        return {labels[0][1]: value for (_, labels), value in found.items()}

    def reported(self) -> list[tuple[int, int]]:
        """Return (failed, dropped) of each line."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        assert {line["event"] for line in lines} <= {"spans_lost"}
        return [(line["failed"], line["dropped"]) for line in lines]


def log_of(stream: io.BytesIO) -> Log:
    """A log into `stream`."""
    return open_log(stream, HandClock(1_000_000))


@contextmanager
def sailing(spans_max: int) -> Iterator[Ship]:
    """Run a ship whose thread has ended at the end."""
    sailing = Ship(spans_max)
    try:
        yield sailing
    finally:
        sailing.exporter.gate.set()
        sailing.ship.close(PATIENCE_S)
        assert "span ship" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}


def test_all_arrive_in_order_and_in_batches() -> None:
    with sailing(10_000) as one:
        one.exporter.gate.set()
        for number in range(1000):
            one.ship.give(span(number))
        one.ship.close(PATIENCE_S)
        assert [number for batch in one.exporter.batches for number in batch] == list(range(1000))
        assert max(map(len, one.exporter.batches)) <= BATCH_MAX
        assert one.counts() == {"exported": 1000, "failed": 0, "dropped": 0} and one.reported() == []


def test_spans_that_do_not_fit_are_dropped_without_waiting() -> None:
    """The exporter hangs with the first batch; then there is room for ten."""
    with sailing(10) as one:
        one.ship.give(span(0))
        assert one.exporter.entered.wait(PATIENCE_S)
        for number in range(1, 1001):
            one.ship.give(span(number))
            assert len(one.ship) <= 10
        assert one.counts() == {"exported": 0, "failed": 0, "dropped": 990}
        one.exporter.gate.set()
        one.ship.close(PATIENCE_S)
        assert [number for batch in one.exporter.batches for number in batch] == list(range(11)), "the oldest stay"
        assert one.counts() == {"exported": 11, "failed": 0, "dropped": 990} and one.reported() == [(0, 990)]


def test_spans_rejected_by_the_receiver_are_counted() -> None:
    with sailing(1000) as one:
        one.exporter.is_away = True
        one.exporter.gate.set()
        for number in range(300):
            one.ship.give(span(number))
        one.ship.close(PATIENCE_S)
        assert one.counts() == {"exported": 0, "failed": 300, "dropped": 0} and one.reported() == [(300, 0)]


def test_a_stop_does_not_wait_for_a_receiver_that_hangs() -> None:
    with sailing(1000) as one:
        one.ship.give(span(0))
        assert one.exporter.entered.wait(PATIENCE_S)
        for number in range(1, 50):
            one.ship.give(span(number))
        one.ship.close(0.01)
        assert one.exporter.aborted and one.reported() == [(50, 0)]


def test_an_unavailable_receiver_is_logged_every_ten_seconds() -> None:
    """Also when the number of waiting spans never reaches zero."""
    with sailing(10 * BATCH_MAX) as one:
        one.exporter.is_away = True
        one.ship.give(span(0))
        assert one.exporter.entered.wait(PATIENCE_S), "it has its batch and takes no other for now"
        for number in range(10 * BATCH_MAX + 1):
            one.ship.give(span(number))
        one.now_s = TELL_S
        one.exporter.gate.set()
        wait_until(lambda: one.reported() != [])
        assert one.reported()[0] == (1, 1), "the first one at once; the clock stands still, so no second one"
        wait_until(lambda: len(one.ship) == 0)
        one.ship.close(PATIENCE_S)
        assert one.reported()[1:] == [(10 * BATCH_MAX, 0)]


def test_a_bug_of_the_exporter_is_counted_and_survived() -> None:
    with sailing(1000) as one:
        export = one.exporter.export

        def broken(batch: Sequence[Span]) -> str:
            one.exporter.export = export  # type: ignore[method-assign]
            raise ValueError("a bug")

        one.exporter.export = broken  # type: ignore[method-assign]
        one.exporter.gate.set()
        one.ship.give(span(1))
        wait_until(lambda: one.ship.failed == 1)
        one.ship.give(span(2))
        one.ship.close(PATIENCE_S)
        assert one.exporter.batches == [[2]] and one.reported() == [(1, 0)]
        assert b"ValueError: a bug" in one.stream.getvalue()


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://host", "http://", "http://[", "/v1/traces"])
def test_an_invalid_endpoint_is_rejected(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="is no URL of an OTLP receiver"):
        open_tracing(Settings(traces_endpoint=endpoint), SystemClock(), random.Random(1), log_of(io.BytesIO()), "i")


def test_without_an_endpoint_there_are_no_traces() -> None:
    assert open_tracing(Settings(), SystemClock(), random.Random(1), log_of(io.BytesIO()), "i") is None
