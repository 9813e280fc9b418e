"""Passes spans to an exporter in a thread of its own, so that no receiver, down or slow, ever stops the loop.

The spans that wait are bounded in number; those that don't fit, or can't be delivered, are counted and logged.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.telemetry.metrics.observer import NAMESPACE
from voxpool.scheduler.telemetry.traces.spans import Span

LINGER_S = 0.5
"""How long a span may wait for others to be sent with it."""
BATCH_MAX = 512
"""Spans of one request."""
TELL_S = 10.0
"""Time between two log lines about lost spans."""


class SpanExporter(Protocol):
    """Sends spans to a receiver."""

    def export(self, batch: Sequence[Span]) -> str:
        """Send `batch`, with repetitions; return "", or why it did not arrive. May block."""
        ...

    def abort(self) -> None:
        """Let an `export` in progress stop trying."""
        ...


class SpanShip(Collector):
    """Exports what `give` gets; `seconds` is a clock. As a collector it shows the counts of the spans."""

    def __init__(self, exporter: SpanExporter, spans_max: int, log: Log, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._tells_at_s = seconds() + TELL_S
        self._exporter = exporter
        self._spans_max = spans_max
        self._log = log
        self._waiting: deque[Span] = deque()
        self._in_hand = 0
        self._counting = threading.Lock()
        self._is_given_up = False
        """Whether `close` has counted the rest."""
        self._wake = threading.Event()
        self._is_stopping = threading.Event()
        self._reported = (0, 0)
        self._failure = ""
        """The error of the last batch that was not delivered."""
        self.exported = self.failed = self.dropped = 0
        """Spans that were delivered; that could not be delivered; that did not fit."""
        self._thread = threading.Thread(target=self._run, name="span ship", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def give(self, span: Span) -> None:
        """Queue `span`, or drop it when too many wait. Never waits; only the loop's thread may call it."""
        waiting = len(self._waiting)
        if waiting >= self._spans_max:
            self.dropped += 1
            return
        self._waiting.append(span)
        if waiting + 1 == BATCH_MAX:
            self._wake.set()

    def collect(self) -> Iterator[Metric]:
        """Yield the counts of the spans."""
        text = "Spans of sampled jobs: exported, failed (the receiver refused them) or dropped (too many waited)."
        family = CounterMetricFamily(f"{NAMESPACE}_trace_spans", text, labels=["result"])
        for result in ("exported", "failed", "dropped"):
            family.add_metric([result], getattr(self, result))
        yield family

    def close(self, patience_s: float) -> None:
        """Export what waits, for `patience_s` at most; then log the loss. Blocks."""
        self._is_stopping.set()
        self._wake.set()
        self._thread.join(patience_s)
        with self._counting:
            if self._thread.is_alive():
                self._exporter.abort()
                self._is_given_up = True
                self.failed += self._in_hand + len(self._waiting)
        self._tell()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            self._wake.wait(LINGER_S)
            self._wake.clear()
            self._export_batch()
            while len(self._waiting) >= BATCH_MAX and not self._is_stopping.is_set():
                self._export_batch()
            if self._seconds() >= self._tells_at_s:
                self._tell()
        while self._waiting and not self._is_given_up:
            self._export_batch()

    def _export_batch(self) -> None:
        """Export what waits, a batch at most, and count it."""
        waiting = self._waiting
        with self._counting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH_MAX))]
            self._in_hand = len(batch)
        if not batch:
            return
        try:
            failure = self._exporter.export(batch)
        except Exception as error:  # a bug, or an address that only the client refuses; jobs must not be affected
            failure = f"{type(error).__name__}: {error}"
        with self._counting:
            if self._is_given_up:
                return
            self._in_hand = 0
            if failure:
                self.failed += len(batch)
                self._failure = failure
            else:
                self.exported += len(batch)
        if failure and self._seconds() >= self._tells_at_s:
            self._tell()

    def _tell(self) -> None:
        self._tells_at_s = self._seconds() + TELL_S
        failed, dropped = self.failed - self._reported[0], self.dropped - self._reported[1]
        self._reported = (self.failed, self.dropped)
        if failed or dropped:
            self._log(Event.SPANS_LOST, failed=failed, dropped=dropped, error=self._failure or None)
