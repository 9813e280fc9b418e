"""A Locust plugin that watches the memory of the server during a run; the verdict can decide the exit code.

    import voxpool.leakgate.locust_plugin  # in any locustfile

    locust -f locustfile.py --headless … --leak-pid 4711 --leak-gate --leak-html memory.html

Without its options it does nothing. In a distributed run the master watches. With --leak-gate the exit code is 2 from
the start of the test until a verdict: 1 for a leak; without a leak it is Locust's.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.lock import RLock
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from voxpool.leakgate.cli.options import must_be_writable
from voxpool.leakgate.cli.outcome import EXIT_UNCLEAR, exit_code, text_of, write_html
from voxpool.leakgate.cli.watch import open_target
from voxpool.leakgate.command_line import EXIT_WRONG_INPUT
from voxpool.leakgate.errors import LeakgateError, WrongInput
from voxpool.leakgate.judging.judge import LIMIT_BYTES, warm_up
from voxpool.leakgate.readings.reader import ServerReader
from voxpool.leakgate.readings.series import Reading, Source, parse_bounds
from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.terminal import say
from voxpool.leakgate.watching.watch import Watch

_OPTIONS: dict[str, dict[str, Any]] = {
    "--leak-pid": {"type": int, "help": "Watch this process: its RSS, files and threads."},
    "--leak-url": {"default": "", "metavar": "URL", "help": "Where it gives its report (voxpool.leakgate.inside)."},
    "--leak-metrics": {"default": "", "metavar": "URL", "help": "Its page of metrics, in the format of Prometheus."},
    "--leak-work": {"default": "", "metavar": "METRIC", "help": "Its counter of finished work; without one, and "
                    "without a report that counts, the successful requests of this load test are the work."},
    "--leak-limit": {"type": float, "default": LIMIT_BYTES, "metavar": "BYTES", "help": "Growth for each unit of work "
                     "that still counts as none (50)."},
    "--leak-every": {"type": float, "default": 0.0, "metavar": "S", "help": "Seconds between two readings (1)."},
    "--leak-bounded": {"action": "append", "default": [], "metavar": "NAME=N", "help": "A count that may grow up to "
                       "N. May be repeated."},
    "--leak-token": {"default": "", "metavar": "TOKEN|@FILE", "help": "Sent as `Authorization: Bearer …`."},
    "--leak-html": {"type": Path, "metavar": "FILE", "help": "Write a page with charts."},
    "--leak-gate": {"action": "store_true", "help": "The exit code is 1 for a leak, and 2 without a clear verdict."},
}  # fmt: skip


def _add_options(parser: argparse.ArgumentParser, **_: Any) -> None:
    group = parser.add_argument_group("leakgate", "The memory of the server that is loaded.")
    for flag, settings in _OPTIONS.items():
        group.add_argument(flag, **settings)  # in a group, so that the web form does not show it


def _on_init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or isinstance(environment.runner, WorkerRunner):
        return
    is_used = options.leak_pid is not None or options.leak_url or options.leak_metrics
    try:
        if not is_used:
            if options.leak_gate:
                raise WrongInput("--leak-gate needs --leak-pid, --leak-url or --leak-metrics")
            return
        watched = MemoryOfServer(environment)
        watched.check(reads=bool(getattr(options, "headless", False)))
    except (LeakgateError, OSError) as error:
        say(f"leakgate: {error}", err=True)
        sys.exit(EXIT_WRONG_INPUT)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # otherwise it logs a line for each reading
    watched.listen()
    # The previous steps took seconds; without the update --run-time would start too early.
    gevent.get_hub().loop.update_now()


class MemoryOfServer:
    """Watches consecutive runs, in the process that decides."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._options: Any = environment.parsed_options
        self._watch: Watch | None = None
        self._succeeded = self._failed = 0
        self._is_loaded = False
        self._code_before: int | None = None
        self._concluding = RLock()
        warm_up()

    def check(self, reads: bool) -> None:
        """Raise LeakgateError or OSError for invalid options; with `reads` also for a server that can't be read."""
        must_be_writable(self._options.leak_html)
        if self._options.leak_limit <= 0 or self._options.leak_every < 0:
            raise WrongInput("--leak-limit must be above 0, and --leak-every may not be below")
        with self._open() as reader:
            if reads:
                reader.read()

    def listen(self) -> None:
        """Connect it to Locust's events."""
        happens: Any = self._environment.events
        happens.test_start.add_listener(self._on_start)
        happens.test_stopping.add_listener(self._on_stopping)
        happens.test_stop.add_listener(self._conclude)
        happens.quitting.add_listener(self._conclude)
        if isinstance(self._environment.runner, MasterRunner):
            happens.worker_report.add_listener(self._on_worker_report)
        else:
            happens.request.add_listener(self._on_request)

    def _on_start(self, **_: Any) -> None:
        environment = self._environment
        self._conclude()
        if self._options.leak_gate:
            self._code_before = environment.process_exit_code
            environment.process_exit_code = EXIT_UNCLEAR
        self._is_loaded = True
        self._watch = Watch(
            self._reader,
            limit_bytes=self._options.leak_limit,
            every_s=self._options.leak_every,
            is_loaded=lambda: self._is_loaded,
            load=lambda: float(environment.runner.user_count) if environment.runner else None,
            exercised=lambda: {"errors": self._failed},
        )
        self._watch.start()

    def _on_stopping(self, **_: Any) -> None:
        self._is_loaded = False

    def _on_request(self, exception: object = None, **_: Any) -> None:
        self._count(1, int(exception is not None))

    def _on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        total = data.get("stats_total", {})
        self._count(total.get("num_requests", 0), total.get("num_failures", 0))

    def _count(self, requests: int, failures: int) -> None:
        self._succeeded += requests - failures
        self._failed += failures

    def _conclude(self, **_: Any) -> None:
        """Print the verdict of the current run once. Concurrent callers wait, because Locust must not end before."""
        with self._concluding:
            if self._watch is None:
                return
            self._is_loaded = False
            self._watch.stop()
            report = self._watch.report(with_power=True)
            say(f"\nMemory of the server: {text_of(report)}\n")
            if self._options.leak_html is not None:
                write_html(report, self._options.leak_html)
            self._decide(report)
            self._watch = None

    def _decide(self, report: WatchReport) -> None:
        code = exit_code(report.finding)
        if not self._options.leak_gate:
            return
        if code:
            self._environment.process_exit_code = code
        elif self._environment.process_exit_code == EXIT_UNCLEAR:
            self._environment.process_exit_code = self._code_before

    def _open(self) -> ServerReader:
        options = self._options
        try:
            bounds = parse_bounds(options.leak_bounded)
        except ValueError as error:
            raise WrongInput(f"--leak-bounded {error}") from None
        return open_target(
            options.leak_pid, options.leak_url, options.leak_metrics, options.leak_work, token=options.leak_token,
            bounds=bounds,
        )  # fmt: skip

    def _reader(self) -> ServerReader | _Counting:
        reader = self._open()
        return reader if self._options.leak_work else _Counting(reader, self)


class _Counting:
    """A reader whose work is the server's counter, else the successful requests of this load test."""

    def __init__(self, reader: ServerReader, run: MemoryOfServer) -> None:
        self._reader, self._run = reader, run
        self.close, self.tracing = reader.close, reader.tracing

    def read(self) -> Reading:
        reading = self._reader.read()
        return msgspec.structs.replace(reading, work=self._run._succeeded) if self._reader.counts_seconds else reading

    def source(self) -> Source:
        return msgspec.structs.replace(self._reader.source(), unit="request")


_happens: Any = events
_happens.init_command_line_parser.add_listener(_add_options)
_happens.init.add_listener(_on_init)
