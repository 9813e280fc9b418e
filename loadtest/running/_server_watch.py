"""Detects a scheduler that goes away during the run, so that the run ends with the figures until then."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from voxpool.loadtest.running._part import Context
from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.sdk.http import HttpClient

LOOK_S = 1.0
PATIENCE_S = 2.0


class ServerWatch:
    """Requests /healthz every second; calls `end` with a reason when no answer came for the option gone_s."""

    def __init__(self, context: Context, end: Callable[[str], None]) -> None:
        self._context = context
        self._end = end
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Start watching."""
        if self._context.decides:
            self._greenlet = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Stop watching."""
        if self._greenlet is not None and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill()
        self._greenlet = None

    def _watch(self) -> None:
        options = self._context.options
        ca_file = options.ca_file or None
        with HttpClient(self._context.host, token="", ca_file=ca_file, patience_s=PATIENCE_S) as client:
            answered_s = begun_s = time.monotonic()
            while True:
                gevent.sleep(LOOK_S)
                try:
                    client.show("/healthz")
                except VoxpoolError as error:
                    silent_s = time.monotonic() - answered_s
                    if silent_s >= options.gone_s:
                        at_s = answered_s - begun_s
                        self._context.gone = f"the scheduler went away after {at_s:.0f} s: {error}"
                        break
                else:
                    answered_s = time.monotonic()
        self._end(self._context.gone)
