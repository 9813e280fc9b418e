"""A load run in one process: what happens when Locust starts a test, ticks, ends it and quits.

It owns the order of things, not what is done: users, shapes, the parts and the verdict are elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import RLock
from locust.runners import MasterRunner, WorkerRunner

from loadtest import _crowd, _workload
from loadtest._options import read_options
from loadtest._part import Context, Part, Role, folder_of
from loadtest._shapes import Common, Shape, shape_of
from loadtest._state import STATE
from scheduler.errors import ConfigError

logger = logging.getLogger("voxpool.load")

STANDING_RATE = 100
"""Nodes and misbehaving users that come a second, for each process that generates load."""
FINAL_S = 10.0
"""How long a master waits for the last figures of its workers, once their users are gone."""
LOOK_S = 0.05
CLOSE, CLOSED, FINAL = "voxpool_close", "voxpool_closed", "voxpool_final"
"""Messages between master and workers: send nothing new; all that was sent has ended; my figures are complete."""


class LoadRun:
    """The run of this process; `environment.voxpool` is it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._parts: list[Part] = []
        self._all_classes = list(context.environment.user_classes)
        self._standing = 0
        self._shape: Shape | None = None
        self._clients_since: float | None = None
        self._running = False
        self._ended = Event()
        self._ending = RLock()
        self._finals: set[str] = set()
        self._closed: set[str] = set()
        if context.role == "master":
            context.runner.register_message(CLOSED, self._on_closed)
            context.runner.register_message(FINAL, self._on_final)
        elif context.role == "worker":
            context.runner.register_message(CLOSE, self._on_close, concurrent=True)

    def add(self, parts: Sequence[Part]) -> None:
        """Add parts, which start in this order."""
        self._parts += parts

    # What Locust's shape asks.

    def shape_starts(self) -> None:
        """A test starts, says Locust; on a master it says so twice."""
        if not self._running:
            self._shape = None
            self._clients_since = None

    def tick(self) -> tuple[int, float] | None:
        """Return users and spawn rate of this moment; None = the test is over."""
        context = self.context
        if self._shape is None:
            try:
                self._shape = self._prepare()
            except ConfigError as error:
                logger.error("%s", error)
                return None
        if self._clients_since is None:
            if context.runner.user_count < self._standing:
                return self._standing, STANDING_RATE * max(1, context.runner.worker_count)
            self._clients_since = time.monotonic()
        users = self._shape.users(time.monotonic() - self._clients_since)
        if users is None:
            self.end("")
            return None
        return self._standing + users, self._shape.spawn_rate

    # What Locust's events say.

    def on_test_start(self, **_: Any) -> None:
        """Users will be spawned."""
        context = self.context
        if context.role == "worker":
            context.options = read_options(vars(context.environment.parsed_options))
            context.host = context.environment.host
        STATE.start()
        self._finals.clear()
        self._closed.clear()
        self._ended.clear()
        self._running = True
        for part in self._parts:
            part.start()

    def on_test_stop(self, **_: Any) -> None:
        """The users are gone; on a master, perhaps, only told to go."""
        if not self._running:
            return
        self._running = False
        if self.context.role == "master":
            self._wait(lambda: self._workers() <= self._finals, FINAL_S)
        for part in reversed(self._parts):
            part.stop()
        if self.context.role == "worker":
            self.context.runner._send_stats()  # its own report comes every 3 s only, and the master may not wait
            self.context.runner.send_message(FINAL)
        self._ended.set()

    def on_quitting(self, **_: Any) -> None:
        """The process ends; comes first of all who hear of it."""
        self.end("")

    def end(self, reason: str) -> None:
        """End the test: nothing new is sent, what was sent gets `drain_s` to end; then users go and parts stop."""
        with self._ending:
            if not self._running:
                return
            if reason:
                self.context.ended_by = reason
                logger.warning("The test ends: %s", reason)
            self._close()
            self.context.runner.stop()

    # Closing.

    def _prepare(self) -> Shape:
        """Return the shape of the test that starts, once all is checked. Raises ConfigError."""
        context = self.context
        parsed = context.environment.parsed_options
        context.options = read_options(vars(parsed))
        context.host = context.environment.host
        context.started = datetime.now(UTC)
        context.folder = folder_of(context.options, context.started)
        context.ended_by = context.gone = ""
        context.nodes = _workload.of_options(context.options).nodes
        crowd = _crowd.arrange(self._all_classes, context.options, context.nodes)
        if not crowd.classes:
            raise ConfigError("there are no users to spawn")
        context.environment.user_classes = list(crowd.classes)
        self._standing = crowd.standing
        context.shape = shape_of(context.options, Common(parsed.num_users, parsed.spawn_rate, parsed.run_time))
        return context.shape

    def _close(self) -> None:
        drain_s = self.context.options.drain_s
        STATE.close()
        if self.context.role == "master":
            self.context.runner.send_message(CLOSE, {"drain_s": drain_s})
            self._wait(lambda: self._workers() <= self._closed, drain_s + FINAL_S)
        else:
            self._wait(lambda: STATE.outstanding == 0, drain_s)

    def _on_close(self, msg: Any, **_: Any) -> None:
        STATE.close()
        self._wait(lambda: STATE.outstanding == 0, float(msg.data["drain_s"]))
        self.context.runner.send_message(CLOSED)

    def _on_closed(self, msg: Any, **_: Any) -> None:
        self._closed.add(msg.node_id)

    def _on_final(self, msg: Any, **_: Any) -> None:
        self._finals.add(msg.node_id)

    def _workers(self) -> set[str]:
        """Return the workers that are there, lost ones left out."""
        return {one.id for one in self.context.runner.clients.values() if one.state != "missing"}

    @staticmethod
    def _wait(holds: Any, patience_s: float) -> bool:
        end_s = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() >= end_s:
                return False
            gevent.sleep(LOOK_S)
        return True


def load_run(environment: Any) -> LoadRun:
    """Return the run of this process, which run.py has made."""
    run: LoadRun = environment.voxpool
    return run


def role_of(runner: Any) -> Role:
    """Return what this process is in the run."""
    if isinstance(runner, MasterRunner):
        return "master"
    return "worker" if isinstance(runner, WorkerRunner) else "local"
