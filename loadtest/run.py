"""The composition root of a load run: it makes all parts and connects them to Locust's events. `locust -f loadtest/`
loads it together with the users and the shape.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from typing import Any, cast

import gevent
from locust import events, runners
from locust.runners import MasterRunner, WorkerRunner

from voxpool.leakgate.report.report import WatchReport
from voxpool.leakgate.terminal import VisibleMessages
from voxpool.leakgate.watching.until_clear import CLEAR, UntilClear
from voxpool.loadtest.measuring._part import Measuring
from voxpool.loadtest.measuring._pools_watch import PoolsWatch
from voxpool.loadtest.memory._part import MemoryPart
from voxpool.loadtest.options._options import DEFAULT_HOST
from voxpool.loadtest.options._options_shown import add_options
from voxpool.loadtest.options._page_form import fit_the_form
from voxpool.loadtest.processes._chaos import Chaos
from voxpool.loadtest.processes._own_process import dies_with_us
from voxpool.loadtest.report._reporting import Reporting
from voxpool.loadtest.running._ending import Ending
from voxpool.loadtest.running._load_run import LoadRun
from voxpool.loadtest.running._page_guard import DEFAULT_WEB_HOST, guard_the_page
from voxpool.loadtest.running._part import Context, Part, Role
from voxpool.loadtest.running._preparing import Preparing
from voxpool.loadtest.running._server_watch import ServerWatch
from voxpool.loadtest.users._counts import Counts
from voxpool.loadtest.users._traffic import Traffic
from voxpool.loadtest.verdict._conclude import Conclusion
from voxpool.scheduler.errors import ConfigError

WORKER_SILENCE_S = 20
"""Time without a heartbeat after which a worker is lost; Locust's 3 s are too short on a busy core."""


if (dies := dies_with_us()) is not None:
    # Forked workers would try to connect to a master that could not start, or was killed, for five minutes.
    os.register_at_fork(after_in_child=dies)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_to_command_line(parser: Any, **_: Any) -> None:
    """Add our options to Locust's, and let its page listen on localhost unless --web-host is given."""
    add_options(parser)
    parser.set_defaults(web_host=DEFAULT_WEB_HOST)


@events.init.add_listener  # type: ignore[untyped-decorator]
def put_together(environment: Any, runner: Any, web_ui: Any, **_: Any) -> None:
    """Make the parts of this process and connect them to the events of a run."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else it logs a line for each request to the scheduler
    for name in ("", "locust.stats_logger"):  # the loggers of Locust's lines and tables
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(VisibleMessages())
    context = Context(environment, runner, web_ui, role_of(runner))
    environment.host = environment.host or DEFAULT_HOST
    if web_ui is not None:
        guard_the_page(context)
        fit_the_form(context)
    if context.decides:
        decide(context)
    else:
        generate(context)


def generate(context: Context) -> None:
    """Set up a worker: it generates load and sends its figures to the master."""
    counts = Counts()
    run = LoadRun(context, [Measuring(context, counts), Traffic(context, counts)])
    ending = Ending(context, run)
    listen(context, run, ending)


def decide(context: Context) -> None:
    """Set up a master or a single process: it prepares the test, watches the scheduler, and makes the verdict."""
    runners.HEARTBEAT_LIVENESS = WORKER_SILENCE_S
    counts = Counts()
    preparing = Preparing(context)
    measuring, traffic = Measuring(context, counts), Traffic(context, counts)
    pools, memory = PoolsWatch(context), MemoryPart(context)
    server = ServerWatch(context, lambda reason: run.request_end(reason))
    chaos = Chaos(context, preparing.redis, lambda reason: run.request_end(reason))
    clear = UntilClear(
        in_a_thread(memory.report),
        memory,
        end=lambda: run.request_end(CLEAR),
        least_s=lambda: context.options.until_clear,
        lasts_s=lambda: math.inf if context.shape is None else context.shape.run_time_s,
        may_name=lambda: context.options.memory != "off" and context.options.gate != "load",
        seconds=time.monotonic,
    )
    conclusion = Conclusion(context, Reporting(context, measuring, pools), memory, chaos)
    parts: list[Part] = [measuring, traffic, pools, memory, clear, server, chaos]
    run = LoadRun(context, parts, preparing.prepare, conclusion.conclude)
    ending = Ending(context, run, preparing.stop)
    context.environment.events.quitting.add_listener(memory.on_quitting)
    listen(context, run, ending)
    try:
        preparing.fill_in()
        options = context.environment.parsed_options
        # A master delays it until it can notify workers on other machines that there will be no test.
        if options.headless and (context.role == "local" or options.processes):
            run.get_ready()
    except ConfigError as error:
        ending.at_once(run.refuse(str(error)))


def in_a_thread(report: Callable[[], WatchReport]) -> Callable[[], WatchReport]:
    """Return `report` as a call in a thread: a verdict takes tens of ms of processor time, which would delay users."""
    return lambda: cast(WatchReport, gevent.get_hub().threadpool.apply(report))


def listen(context: Context, run: LoadRun, ending: Ending) -> None:
    """Connect a run to Locust's events; the listener that is added last is called first when the process ends."""
    happens = context.environment.events
    context.environment.voxpool = run
    happens.test_start.add_listener(run.on_test_start)
    happens.test_stopping.add_listener(run.on_test_stopping)
    happens.test_stop.add_listener(run.on_test_stop)
    happens.quitting.add_listener(run.on_quitting)
    happens.quit.add_listener(ending.on_quit)
    ending.listen()


def role_of(runner: Any) -> Role:
    """Return the role of this process in the run."""
    if isinstance(runner, MasterRunner):
        return "master"
    return "worker" if isinstance(runner, WorkerRunner) else "local"
