"""The part of a run that measures: it counts Locust's requests, and sends the counts of workers to their master.

A worker sends with each report of Locust; the master, or a single process, aggregates.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import msgspec

from voxpool.loadtest.measuring._generator import SAMPLE_S, ProcessWatch, judge
from voxpool.loadtest.measuring._latencies import Latencies
from voxpool.loadtest.measuring._process_report import ProcessReport, arrivals_of, served_by
from voxpool.loadtest.measuring._tally import Tally
from voxpool.loadtest.measuring._what_became import jobs_of
from voxpool.loadtest.report._records import Arrivals, ErrorCount, Generator, Jobs, Operation, Window
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.users._counts import Counts
from voxpool.loadtest.users._state import STATE

FIGURES = "voxpool_figures"
"""Key of a worker's counts in its reports to the master."""


class Figures(msgspec.Struct, frozen=True):
    """The measurements of a run so far."""

    duration_s: float
    users_max: int
    operations: list[Operation]
    errors: list[ErrorCount]
    windows: list[Window]
    arrivals: Arrivals | None
    jobs: Jobs
    generator: Generator
    served: dict[tuple[str, str], int]
    """Attempts that node users answered, by (pairs of the node, node id)."""


class Measuring:
    """Measures in one process. `start` drops the figures of the previous test; they stay after `stop`."""

    def __init__(self, context: Context, counts: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._counts = counts
        self._clock = clock
        self._tally = Tally()
        self._latencies = Latencies()
        self._watch = ProcessWatch()
        self._workers: dict[str, ProcessReport] = {}
        self._started: float | None = None
        self._stopped: float | None = None
        self._sampler: gevent.Greenlet | None = None
        events = context.environment.events
        events.request.add_listener(self._request)
        if context.role == "worker":
            events.report_to_master.add_listener(self._report_to_master)
        elif context.role == "master":
            events.worker_report.add_listener(self._worker_report)

    def start(self) -> None:
        """Start measuring."""
        self.forget()
        self._started = self._clock()
        self._watch.start()
        self._sampler = gevent.spawn(self._sample_forever)

    def forget(self) -> None:
        """Drop the figures of the previous test."""
        self._tally, self._latencies = Tally(), Latencies()
        self._workers = {}
        self._counts.clear()
        self._started = self._stopped = None

    def stop(self) -> None:
        """End the time of the run; later requests still count."""
        self._stopped = self._clock()
        if self._sampler is not None:
            self._sampler.kill()
            self._sampler = None

    @property
    def now_s(self) -> float:
        """Return the time of the run: seconds since its start, 0 before; it is constant after sending ends."""
        if self._started is None:
            return 0.0
        ends = [self._clock() if self._stopped is None else self._stopped]
        if STATE.closed_s is not None:
            ends.append(STATE.closed_s)
        return max(0.0, min(ends) - self._started)

    def figures(self) -> Figures:
        """Return the measurements so far."""
        self._take_own()
        duration_s = self.now_s
        operations, errors = self._latencies.operations(duration_s), self._latencies.errors()
        name = "master" if self._context.role == "master" else "local"
        processes = {name: self._process_report(), **self._workers}
        arrivals = arrivals_of(processes.values(), self._context.options.late_ms)
        return Figures(
            duration_s=round(duration_s, 3),
            users_max=self._latencies.users_max,
            operations=operations,
            errors=errors,
            windows=self._latencies.windows(duration_s),
            arrivals=arrivals,
            jobs=jobs_of(operations, errors),
            generator=judge({name: report.process for name, report in processes.items()}, arrivals),
            served=served_by(processes.values()),
        )

    def _request(
        self, request_type: str, name: str, response_time: float | None, exception: Any = None, **_: Any
    ) -> None:
        if self._started is None:
            return
        reason = "" if exception is None else _reason(exception)
        self._tally.request(self._clock() - self._started, request_type, name, (response_time or 0.0) / 1000, reason)

    def _sample_forever(self) -> None:
        while True:
            gevent.sleep(SAMPLE_S)
            self._watch.sample()
            if self._context.decides:
                self._take_own()
                if STATE.open:
                    self._latencies.users(self.now_s, self._context.runner.user_count)

    def _take_own(self) -> None:
        self._latencies.absorb(self._tally.take())

    def _report_to_master(self, client_id: str, data: dict[str, Any]) -> None:
        if self._started is not None:
            data[FIGURES] = {"tally": self._tally.take(), "process": self._process_report().plain()}

    def _worker_report(self, client_id: str, data: dict[str, Any]) -> None:
        figures = data.get(FIGURES)
        if figures is None:
            return
        try:
            process = msgspec.convert(figures["process"], ProcessReport)
            self._latencies.absorb(figures["tally"])
        except (KeyError, TypeError, ValueError) as error:  # msgspec's are ValueErrors
            why = f"worker {client_id} sends its figures in another format: does it run another version? ({error})"
            if why not in self._context.missing:
                self._context.missing.append(why)
            return
        self._workers[client_id] = process

    def _process_report(self) -> ProcessReport:
        return self._counts.process_report(self._watch.readings)


def _reason(exception: Any) -> str:
    """Return the first line of an exception's text (or of a word), else its type."""
    return str(exception).strip().partition("\n")[0] or type(exception).__name__
