"""The end of a load run's process: by a signal, because it can't start, or regularly; child processes end with it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import gevent

from voxpool.loadtest.running import _signals
from voxpool.loadtest.running._load_run import LoadRun
from voxpool.loadtest.running._part import Context

MASTER = os.getpid()
"""The process that has read this file; for forked workers their master, which may end before they check it."""
CHILDREN_S = 10.0
"""Seconds in which forked workers must end after the request of their master."""


class Ending:
    """Ends one process; `stop_own` stops the processes that it has started in addition to its workers."""

    def __init__(self, context: Context, run: LoadRun, stop_own: Callable[[], None] = lambda: None) -> None:
        self._context = context
        self._run = run
        self._stop_own = stop_own
        options = context.environment.parsed_options
        self._is_forked = context.role == "worker" and bool(options.processes)

    def listen(self) -> None:
        """End the run on signals, and on the end of a forked worker's master."""
        _signals.Signals(self.interrupt).listen()
        if self._is_forked:
            _signals.ignore_first_interrupt()
            gevent.spawn(_signals.end_with_parent, MASTER, lambda: self.interrupt("the master is gone"))

    def interrupt(self, why: str) -> None:
        """End the run with its report, then this process."""
        context = self._context
        never_began = context.web_ui is None and self._run.end_before_the_start(why)
        self._run.end(why)
        if context.web_ui is None:
            context.runner.quit()
            if never_began and context.decides:
                # The main greenlet prepares a test, or waits for workers, and would continue.
                self.at_once(int(context.environment.process_exit_code))
        elif why != signal.SIGTERM.name:  # with a page Locust handles SIGTERM, too, and ends the process
            context.runner.quit()
            context.web_ui.stop()

    def at_once(self, code: int) -> NoReturn:
        """End this process and its workers, from any greenlet: there is no run to end."""
        self._stop_own()
        _signals.end_children()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def on_quit(self, **_: Any) -> None:
        """Called when Locust is about to exit."""
        self._stop_own()
        if self._context.decides:
            _signals.wait_for_children(CHILDREN_S)
