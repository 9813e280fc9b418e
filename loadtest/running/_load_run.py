"""A load run in one process: what happens when Locust starts a test, ticks, ends it and quits.

It owns the order of things, not what is done: users, shapes, the parts and the verdict are elsewhere.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from loadtest.running._options import read_options
from loadtest.running._part import Context, Part
from loadtest.running._preparing import Prepared
from loadtest.users._state import STATE
from scheduler.errors import ConfigError

logger = logging.getLogger("voxpool.load")

STANDING_RATE = 100
"""Nodes and misbehaving users that come a second, for each process that generates load."""
FINAL_S = 30.0
"""How long a master waits for the last figures of its workers, once their users are gone; past the knee all is slow."""
LOOK_S = 0.05
CLOSE, CLOSED, FINAL, REFUSED = "voxpool_close", "voxpool_closed", "voxpool_final", "voxpool_refused"
"""Messages between master and workers: send nothing new; all that was sent has ended; my figures are complete; I can't
do what is asked, because.
"""


class LoadRun:
    """The run of this process; `environment.voxpool` is it.

    `prepare` checks a test that is about to start, and raises ConfigError; `conclude` writes the report and returns the
    exit code, given why the test could not start ("" = it has run). Only a process that decides has them.
    """

    def __init__(
        self,
        context: Context,
        parts: Sequence[Part],
        prepare: Callable[[], Prepared] | None = None,
        conclude: Callable[[str], int] | None = None,
    ) -> None:
        self.context = context
        self._parts = parts
        self._prepare = prepare
        self._conclude = conclude
        self._prepared: Prepared | None = None
        self._clients_since: float | None = None
        self._last_tick: tuple[int, float] | None = None
        self._running = self._has_begun = False
        self._stopping = self._ends = False
        self._started: list[Part] = []
        self._workers_at_start: set[str] = set()
        self._finals: set[str] = set()
        self._closed: set[str] = set()
        if context.role == "master":
            context.runner.register_message(CLOSED, lambda msg, **_: self._closed.add(msg.node_id))
            context.runner.register_message(FINAL, lambda msg, **_: self._finals.add(msg.node_id))
            context.runner.register_message(REFUSED, lambda msg, **_: self._refused(f"a worker: {msg.data}"))
        elif context.role == "worker":
            context.runner.register_message(CLOSE, self._on_close, concurrent=True)
        self._quit = context.runner.quit
        context.runner.quit = self._quit_after_the_end

    @property
    def has_begun(self) -> bool:
        """Whether a test has started in this process, now or before."""
        return self._has_begun

    # What Locust's shape asks; only on a process that decides.

    def get_ready(self) -> None:
        """Check the next test and prepare it. Raises ConfigError."""
        assert self._prepare is not None
        self._prepared = self._prepare()

    def shape_starts(self) -> None:
        """A test starts, says Locust; on a master it says so twice."""
        if not self._running:
            self._clients_since = None

    def tick(self) -> tuple[int, float] | None:
        """Return users and spawn rate of this moment; None = the test is over."""
        runner = self.context.runner
        if self._stopping:
            return self._last_tick
        if self._prepared is None:
            try:
                if self.context.role == "master" and not runner.worker_count:
                    raise ConfigError("no worker has connected: start some with `locust -f loadtest/ --worker`")
                self.get_ready()
            except ConfigError as error:
                self.refuse(str(error))
                return None
            assert self._prepared is not None
        standing, shape = self._prepared.standing, self._prepared.shape
        if self._clients_since is None:
            if runner.user_count < standing:
                return standing, STANDING_RATE * max(1, runner.worker_count)
            self._clients_since = time.monotonic()
        users = shape.users(time.monotonic() - self._clients_since)
        if users is None:
            self.end("")
            return None
        self._last_tick = standing + users, shape.spawn_rate
        return self._last_tick

    def refuse(self, why: str) -> int:
        """Say why the test can't start, in a line and in a report; return the exit code."""
        return self._concluded(why)

    # What Locust's events say.

    def on_test_start(self, **_: Any) -> None:
        """Users will be spawned."""
        context = self.context
        if context.role == "worker":
            context.options = read_options(vars(context.environment.parsed_options))
            context.host = context.environment.host
        elif context.role == "master":
            self._workers_at_start = self._workers()
        STATE.start()
        self._finals.clear()
        self._closed.clear()
        self._running = self._has_begun = True
        self._stopping = self._ends = False
        self._started = []
        for part in self._parts:
            if self._went_well(part, "start", part.start):
                self._started.append(part)

    def on_test_stop(self, **_: Any) -> None:
        """The users are gone; on a master, perhaps, only told to go."""
        context = self.context
        if self._running:
            self._running = self._stopping = False
            self._prepared = None
            if context.role == "master":
                self._wait(lambda: self._workers() <= self._finals, FINAL_S)
                lost = len(self._workers_at_start - self._finals)
                if lost:
                    context.missing.append(f"the last figures of {lost} of {len(self._workers_at_start)} workers")
            for part in reversed(self._started):
                self._went_well(part, "stop", part.stop)
            if context.decides:
                self._concluded(context.refused)
        if context.role == "worker":
            context.runner._send_stats()  # its own report comes every 3 s only, and the master may not wait so long
            context.runner.send_message(FINAL)

    def on_quitting(self, **_: Any) -> None:
        """The process ends; comes first of all who hear of it."""
        self.end("")

    def on_test_stopping(self, **_: Any) -> None:
        """The users will be stopped: nothing new is sent, and what was sent gets `drain_s` to end."""
        if not self._running or self._stopping:
            return
        if self.context.decides and not self._ends:
            self.context.ended_by = "the page"
        self._stopping = True
        self._close()

    def end(self, reason: str) -> None:
        """End the test, and return when that is done, by whomever it was begun. `reason` is "" at the planned end."""
        if not self._running:
            return
        if self._stopping:
            self._wait(lambda: not self._running, math.inf)
            return
        self._ends = True
        if reason:
            self.context.ended_by = reason
            logger.warning("The test ends: %s", reason)
        self.context.runner.stop()
        if self._running:  # Locust stops nothing, and says nothing, when the first user has not been spawned yet
            self.on_test_stop()

    # Closing.

    def _quit_after_the_end(self) -> None:
        """Locust quits: not before the test has ended.

        When a signal ends it, Locust's main greenlet sees the shape gone and quits: no message of a worker is read
        from then on, so their last figures, and the end of their users, would be waited for in vain.
        """
        self.end("")
        self._quit()

    def _concluded(self, refused: str) -> int:
        """Write the report; set and return the exit code of this process."""
        assert self._conclude is not None
        code = self._conclude(refused)
        self.context.environment.process_exit_code = code
        return code

    def _close(self) -> None:
        drain_s = 0.0 if self.context.gone else self.context.options.drain_s
        STATE.close()
        if self.context.role == "master":
            self.context.runner.send_message(CLOSE, {"drain_s": drain_s})
            self._wait(lambda: self._workers() <= self._closed, drain_s + FINAL_S)
        else:
            self._wait(lambda: STATE.outstanding <= 0, drain_s)

    def _on_close(self, msg: Any, **_: Any) -> None:
        STATE.close()
        self._wait(lambda: STATE.outstanding <= 0, float(msg.data["drain_s"]))
        self.context.runner.send_message(CLOSED)

    def _went_well(self, part: Part, what: str, act: Callable[[], None]) -> bool:
        """Let a part start or stop. One that fails must not keep the others from it: the verdict tells of it."""
        try:
            act()
        except ConfigError as error:
            self._refused(str(error))
            return False
        except Exception as error:
            logger.exception("%s does not %s", type(part).__name__, what)
            self.context.missing.append(f"{type(part).__name__} did not {what}: {error}")
            return False
        return True

    def _refused(self, why: str) -> None:
        """End the test because this process, or a worker, can't do what is asked of it."""
        if self.context.role == "worker":
            self.context.runner.send_message(REFUSED, why)
        elif not self.context.refused:
            self.context.refused = why
            gevent.spawn(self.end, why)

    def _workers(self) -> set[str]:
        """Return the workers that are there, lost ones left out."""
        return {one.id for one in self.context.runner.clients.values() if one.state != "missing"}

    @staticmethod
    def _wait(holds: Callable[[], bool], patience_s: float) -> None:
        """Return as soon as `holds`, or after `patience_s`."""
        end_s = time.monotonic() + patience_s
        while not holds() and time.monotonic() < end_s:
            gevent.sleep(LOOK_S)


def load_run(environment: Any) -> LoadRun:
    """Return the run of this process, which run.py has made."""
    run: LoadRun = environment.voxpool
    return run
