"""Where a load run is put together, by Locust's events: the only file that listens to them, and the only one that
knows all parts. `locust -f loadtest/` loads it beside the users and the shape.
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
"""A worker that was silent for so long is lost. Locust's own 3 s are over while one on a busy core connects users."""


if (dies := dies_with_us()) is not None:
    # Workers that Locust forks would look for a master that could not start, or was killed, for five minutes.
    os.register_at_fork(after_in_child=dies)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_to_command_line(parser: Any, **_: Any) -> None:
    """Add our options to Locust's, and have its page listen on this machine only unless --web-host says otherwise."""
    add_options(parser)
    parser.set_defaults(web_host=DEFAULT_WEB_HOST)


@events.init.add_listener  # type: ignore[untyped-decorator]
def put_together(environment: Any, runner: Any, web_ui: Any, **_: Any) -> None:
    """Make the parts of this process and tie them to the events of a run."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each look at the scheduler
    for name in ("", "locust.stats_logger"):  # where Locust writes lines, and its tables
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
    """Be a worker: make load, and tell the master what came of it."""
    counts = Counts()
    run = LoadRun(context, [Measuring(context, counts), Traffic(context, counts)])
    ending = Ending(context, run)
    listen(context, run, ending)


def decide(context: Context) -> None:
    """Be a master, or all in one: make the test ready, look at the scheduler meanwhile, and come to a verdict."""
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
        # A master waits with it until it can tell workers elsewhere, too, that there will be no test.
        if options.headless and (context.role == "local" or options.processes):
            run.get_ready()
    except ConfigError as error:
        ending.at_once(run.refuse(str(error)))


def in_a_thread(report: Callable[[], WatchReport]) -> Callable[[], WatchReport]:
    """Return `report` for greenlets: a verdict takes tens of ms of processor time, in which users would be late."""
    return lambda: cast(WatchReport, gevent.get_hub().threadpool.apply(report))


def listen(context: Context, run: LoadRun, ending: Ending) -> None:
    """Tie a run to Locust's events; the listener that is added last is called first when the process ends."""
    happens = context.environment.events
    context.environment.voxpool = run
    happens.test_start.add_listener(run.on_test_start)
    happens.test_stopping.add_listener(run.on_test_stopping)
    happens.test_stop.add_listener(run.on_test_stop)
    happens.quitting.add_listener(run.on_quitting)
    happens.quit.add_listener(ending.on_quit)
    ending.listen()


def role_of(runner: Any) -> Role:
    """Return what this process is in the run."""
    if isinstance(runner, MasterRunner):
        return "master"
    return "worker" if isinstance(runner, WorkerRunner) else "local"
