"""The part of a run that measures: it listens to Locust's requests, and brings what workers counted to their master.

A worker hands over with its reports, and once more when its test stops; a master (or a lone process) puts together.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest._generator import SAMPLE_S, ProcessWatch, Readings, judge
from loadtest._latencies import Latencies
from loadtest._report import Arrivals, ErrorCount, Generator, Jobs, Operation, Window
from loadtest._tally import Tally
from loadtest._what_became import jobs_of

MESSAGE = "voxpool_figures"
"""Key in a worker's report, and kind of the message with which it hands over the rest."""

_log = logging.getLogger(__name__)


class Figures(msgspec.Struct, frozen=True):
    """What was measured of a run so far."""

    duration_s: float
    users_max: int
    operations: list[Operation]
    errors: list[ErrorCount]
    windows: list[Window]
    arrivals: Arrivals | None
    jobs: Jobs
    generator: Generator
    served: dict[tuple[str, str], int]
    """Jobs that node users worked on, by (pair, node id)."""


class Measuring:
    """Of one process. `start` at the start of a test forgets the one before; figures stay after `stop`."""

    def __init__(self, environment: Environment, clock: Callable[[], float] = time.monotonic) -> None:
        self._environment = environment
        self._clock = clock
        self.tally = Tally()
        self.latencies = Latencies()
        self._watch = ProcessWatch()
        self._workers: dict[str, Readings] = {}
        self._started: float | None = None
        self._stopped: float | None = None
        self._sampler: gevent.Greenlet | None = None
        runner = environment.runner
        environment.events.request.add_listener(self._request)
        if isinstance(runner, WorkerRunner):
            environment.events.report_to_master.add_listener(self._report_to_master)
        elif isinstance(runner, MasterRunner):
            environment.events.worker_report.add_listener(self._worker_report)
            runner.register_message(MESSAGE, self._message)

    def start(self) -> None:
        """Begin to measure."""
        self.tally, self.latencies = Tally(), Latencies()
        self._workers = {}
        self._started, self._stopped = self._clock(), None
        self._watch.start()
        if self._sampler is None or self._sampler.dead:
            self._sampler = gevent.spawn(self._sample_forever)

    def stop(self) -> None:
        """End the time of the run; what comes in later still counts."""
        if self._started is None or self._stopped is not None:
            return
        self._stopped = self._clock()
        if self._sampler is not None:
            self._sampler.kill(block=False)
            self._sampler = None
        runner = self._environment.runner
        if isinstance(runner, WorkerRunner):
            runner.send_message(MESSAGE, self._told())

    @property
    def now_s(self) -> float:
        """The time of the run: seconds since its start, 0 before; it stands still after `stop`."""
        if self._started is None:
            return 0.0
        return (self._clock() if self._stopped is None else self._stopped) - self._started

    def figures(self, late_ms: float) -> Figures:
        """Return what was measured so far; `late_ms` is what the users took for late."""
        self._take_own()
        duration_s = self.now_s
        operations, errors = self.latencies.operations(duration_s), self.latencies.errors()
        arrivals = self.latencies.arrivals(late_ms)
        return Figures(
            duration_s=round(duration_s, 3),
            users_max=self.latencies.users_max,
            operations=operations,
            errors=errors,
            windows=self.latencies.windows(duration_s),
            arrivals=arrivals,
            jobs=jobs_of(operations, errors),
            generator=judge({self._name(): self._watch.readings, **self._workers}, arrivals),
            served=dict(self.latencies.served),
        )

    def _request(
        self, request_type: str, name: str, response_time: float | None, exception: BaseException | None = None,
        context: dict[str, Any] | None = None, **_: Any,
    ) -> None:  # fmt: skip
        if self._started is None:
            return
        reason = "" if exception is None else _reason(exception)
        self.tally.request(self._clock() - self._started, request_type, name, (response_time or 0.0) / 1000, reason)
        if context and not reason and "node_id" in context:
            self.tally.served(str(context.get("pair", "")), str(context["node_id"]))

    def _sample_forever(self) -> None:
        while True:
            gevent.sleep(SAMPLE_S)
            self._watch.sample()
            if not isinstance(self._environment.runner, WorkerRunner):
                self._take_own()
                if self._environment.runner is not None:
                    self.latencies.users(self.now_s, self._environment.runner.user_count)

    def _take_own(self) -> None:
        self.latencies.absorb(self.tally.take())

    def _told(self) -> dict[str, Any]:
        return {"tally": self.tally.take(), "process": self._watch.told()}

    def _report_to_master(self, client_id: str, data: dict[str, Any]) -> None:
        if self._started is not None:
            data[MESSAGE] = self._told()

    def _worker_report(self, client_id: str, data: dict[str, Any]) -> None:
        if MESSAGE in data:
            self._absorb(client_id, data[MESSAGE])

    def _message(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._absorb(msg.node_id, msg.data)

    def _absorb(self, client_id: str, told: dict[str, Any]) -> None:
        self.latencies.absorb(told["tally"])
        self._workers[client_id] = msgspec.convert(told["process"], Readings)

    def _name(self) -> str:
        return "master" if isinstance(self._environment.runner, MasterRunner) else "local"


def _reason(exception: BaseException) -> str:
    """Return the first line of what it says, else its kind."""
    return str(exception).strip().partition("\n")[0] or type(exception).__name__
