"""A load run in one process: the reactions to Locust's start, ticks, end and quit.

It owns the order of actions only: users, shapes, the parts and the verdict are in other modules.

Each process has one run, and each run is in one stage (`_stages.py` has the table in code):

| stage | what happens | next stage |
|---|---|---|
| idle | no test yet | starting: Locust starts a test; concluding: it is refused, or the process ends before it |
| starting | the parts start | running: all were started, whether that went well or not |
| running | users are spawned, jobs are sent | closing: the time is over, or the test is ended |
| closing | no new jobs, `drain_s` for the rest, users stop | concluding: the users have stopped |
| concluding | the parts stop, the verdict is written | done: always, even when that fails |
| done | the process may quit | starting, concluding: as idle, with the next test of a page |

All ends use `end` (planned time, --until-clear, signals, a scheduler that is gone, a refusal, chaos
that fails, Locust's quitting) or in Locust's `runner.stop` (the page), which fires test_stopping and test_stop. An end
during the start of the parts takes effect after it; then no user is spawned.

The exit code of the process is set in `_set_exit_code` only. It is 2 from the moment a test starts until its verdict is
written, and Locust quits after that only, however long it takes.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from voxpool.loadtest.options._options import read_options
from voxpool.loadtest.running._part import Context, Part
from voxpool.loadtest.running._preparing import Prepared
from voxpool.loadtest.running._stages import Progress, Stage
from voxpool.loadtest.running._team import Team
from voxpool.loadtest.users._state import STATE
from voxpool.loadtest.verdict._verdict import EXIT_WRONG_INPUT
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.report.report import Outcome

logger = logging.getLogger("voxpool.load")

STANDING_RATE = 100
"""Spawn rate of nodes and misbehaving users per second, for each process that generates load."""
LOOK_S = 0.05
EXIT_NO_EVIDENCE = Outcome.UNCLEAR.exit_code


class LoadRun:
    """The run of this process, available as `environment.voxpool`.

    `prepare` checks a test before its start, and raises ConfigError; `conclude` writes the report and returns the exit
    code, given the reason why there was no test ("" = it has run) and the exit code for that. Only a process that
    decides has them.
    """

    def __init__(
        self,
        context: Context,
        parts: Sequence[Part],
        prepare: Callable[[], Prepared] | None = None,
        conclude: Callable[[str, int], int] | None = None,
    ) -> None:
        self.context = context
        self._parts = parts
        self._prepare = prepare
        self._conclude = conclude
        self._prepared: Prepared | None = None
        self._clients_since: float | None = None
        self._last_tick: tuple[int, float] | None = None
        self._progress = Progress()
        self._end_wanted = False
        """True when the current test must end."""
        self._is_over = False
        """True when the process ends: no further test may start."""
        self._verdicts = 0
        """Number of finished tests."""
        self._started: list[Part] = []
        self._team = Team(context, self._refused)
        self._quit = context.runner.quit
        context.runner.quit = self._quit_after_the_end
        if not context.decides or context.web_ui is None:
            self._set_exit_code(EXIT_NO_EVIDENCE)

    @property
    def stage(self) -> Stage:
        """The stage of the run."""
        return self._progress.stage

    # Calls of Locust's shape; only on a process that decides.

    def get_ready(self) -> None:
        """Check the next test and prepare it. Raises ConfigError."""
        assert self._prepare is not None
        self._prepared = self._prepare()

    def shape_starts(self) -> None:
        """Called when Locust starts a test; on a master it is called twice."""
        if not self._progress.is_under_way:
            self._clients_since = self._last_tick = None

    def tick(self) -> tuple[int, float] | None:
        """Return the current number of users and spawn rate; None = the test is over."""
        if self._is_over:
            return None
        if self._end_wanted or self.stage in (Stage.STARTING, Stage.CLOSING, Stage.CONCLUDING):
            return self._last_tick  # another answer would make Locust restart the spawning
        if self._prepared is None and not self._is_ready():
            return None
        users = self._users_now()
        if users is None:
            self.end("")
            return None
        self._last_tick = users
        return users

    def _is_ready(self) -> bool:
        """Prepare the next test; return whether it may start. If not, a report has the reason."""
        try:
            if self.context.role == "master" and not self.context.runner.worker_count:
                raise ConfigError("no worker has connected: start some with `locust -f loadtest/ --worker`")
            self.get_ready()
        except ConfigError as error:
            self.refuse(str(error))
            return False
        return not self._is_over  # a signal may have arrived during the preparation

    def _users_now(self) -> tuple[int, float] | None:
        runner = self.context.runner
        assert self._prepared is not None
        standing, shape = self._prepared.standing, self._prepared.shape
        if self._clients_since is None:
            if runner.user_count < standing:
                return standing, STANDING_RATE * max(1, runner.worker_count)
            self._clients_since = time.monotonic()
        users = shape.users(time.monotonic() - self._clients_since)
        return None if users is None else (standing + users, shape.spawn_rate)

    def refuse(self, why: str, code: int = EXIT_WRONG_INPUT) -> int:
        """Write a report with the reason why there is no test; return the exit code of this process."""
        if not self._is_over:  # otherwise a signal came first
            self._write_no_test(why, code)
        return int(self.context.environment.process_exit_code)

    def _write_no_test(self, why: str, code: int) -> None:
        self._progress.enter(Stage.CONCLUDING)
        self._write_verdict(why, code)

    # Locust's events.

    def on_test_start(self, **_: Any) -> None:
        """Start the parts; users are spawned when this returns."""
        context = self.context
        if self._is_over:
            raise gevent.GreenletExit  # ends the greenlet of Locust that would spawn the users
        self._set_exit_code(EXIT_NO_EVIDENCE)
        self._progress.enter(Stage.STARTING)
        self._end_wanted = False
        self._started = []
        self._team.begin()
        try:
            if context.role == "worker":
                context.options = read_options(vars(context.environment.parsed_options))
                context.host = context.environment.host
            STATE.start()
            for part in self._parts:
                self._started.append(part)  # before its start, because a part whose start is killed must be stopped
                if not self._went_well(part, "start", part.start):
                    self._started.remove(part)
        finally:
            self._progress.enter(Stage.RUNNING)
        if self._end_wanted:
            raise gevent.GreenletExit

    def on_test_stopping(self, **_: Any) -> None:
        """Stop sending new jobs, and wait up to `drain_s` for the sent ones, before the users are stopped.

        A second stop returns when the first has ended, because Locust kills the greenlet of the first.
        """
        if self.stage in (Stage.CLOSING, Stage.CONCLUDING):
            self._wait_until_done()
            return
        self._wait_for_the_start()
        if self.stage is not Stage.RUNNING:
            return
        if self.context.decides and not self._end_wanted:
            self.context.ended_by = "the page"
        self._progress.enter(Stage.CLOSING)
        self._team.close()

    def on_test_stop(self, **_: Any) -> None:
        """Make the verdict after the users have stopped (on a master they may only have been asked to)."""
        if self.stage in (Stage.STARTING, Stage.RUNNING):
            self.on_test_stopping()
        if self.stage is Stage.CLOSING:
            self._progress.enter(Stage.CONCLUDING)
            gevent.spawn(self._finish)  # in another greenlet, because Locust may kill this one
        self._wait_until_done()
        self._team.hand_over()

    def on_quitting(self, **_: Any) -> None:
        """Called first of all listeners when the process ends."""
        self._end_for_good()

    # The end.

    def end(self, reason: str) -> None:
        """End the test, and return when there is a verdict. `reason` is "" at the planned end."""
        self.request_end(reason)
        self._wait_until_done()

    def request_end(self, reason: str) -> None:
        """End the test, and return at once; for parts, which are stopped before the verdict."""
        if self._end_wanted or self.stage not in (Stage.STARTING, Stage.RUNNING):
            return
        self._end_wanted = True
        if reason:
            self.context.ended_by = reason
            logger.warning("The test ends: %s", reason)
        gevent.spawn(self._stop)

    def end_before_the_start(self, why: str) -> bool:
        """Prevent further tests of this process; return whether none has started, which is reported, too."""
        if self.stage is not Stage.IDLE:
            return False
        self._is_over = True
        if self.context.decides:
            self.context.ended_by = why
            self._write_no_test(f"ended by {why} before the test began: there is no evidence", EXIT_NO_EVIDENCE)
        return True

    def _quit_after_the_end(self) -> None:
        """Let Locust quit after the verdict only.

        After a signal, Locust's main greenlet finds the shape ended and quits: then it reads no more messages of
        workers, so their last figures and the end of their users would never arrive.
        """
        never_began = self._end_for_good()
        self._quit()
        if never_began and self.context.decides:  # Locust gave up waiting for workers, and would exit with 1
            sys.exit(EXIT_NO_EVIDENCE)

    def _end_for_good(self) -> bool:
        """End the current test before the process quits; return whether there was none."""
        if self.context.web_ui is None and self.end_before_the_start("Locust"):
            return True
        self.end("Locust")
        return False

    def _stop(self) -> None:
        """Let Locust stop the users, after the parts have started."""
        self._wait_for_the_start()
        runner = self.context.runner
        has_failed = False
        try:
            runner.stop()
        except Exception:
            logger.exception("Locust does not stop the users")
            has_failed = True
        if has_failed or self.stage is Stage.RUNNING:  # a master stops nothing before the first user is spawned
            if self.context.decides and runner.shape_greenlet is not None:
                runner.shape_greenlet.kill(block=True)
                runner.shape_greenlet = runner.shape_last_tick = None
            self.on_test_stop()

    def _finish(self) -> None:
        """Stop the parts and write the verdict."""
        context = self.context
        self._prepared = None
        try:
            self._team.gather()
            for part in reversed(self._started):
                self._went_well(part, "stop", part.stop)
        finally:
            self._write_verdict(context.refused, EXIT_WRONG_INPUT)

    def _write_verdict(self, no_test: str, code: int) -> None:
        """Write the report, if this process decides; then be done, even when it fails."""
        found = EXIT_NO_EVIDENCE
        try:
            if self._conclude is not None:
                found = self._conclude(no_test, code)
        except Exception:
            logger.exception("There is no verdict (exit code %d): writing it failed", found)
        finally:
            self._end_wanted = False
            self._verdicts += 1
            self._set_exit_code(found)
            self._progress.enter(Stage.DONE)

    def _set_exit_code(self, code: int) -> None:
        """Set the exit code of this process; always 0 on workers, because the master has the verdict."""
        self.context.environment.process_exit_code = code if self.context.decides else 0

    # Parts.

    def _went_well(self, part: Part, what: str, act: Callable[[], None]) -> bool:
        """Start or stop a part. A failure is named in the verdict and does not affect the other parts."""
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
        """End the test because this process or a worker can't run it."""
        if self.context.role == "worker":
            self._team.refuse(why)
        elif not self.context.refused:
            self.context.refused = why
            self.request_end(why)

    # Waiting.

    def _wait_until_done(self) -> None:
        """Return when the current test has its verdict, however long that takes."""
        before = self._verdicts
        while self._progress.is_under_way and self._verdicts == before:
            gevent.sleep(LOOK_S)

    def _wait_for_the_start(self) -> None:
        while self.stage is Stage.STARTING:
            gevent.sleep(LOOK_S)


def load_run(environment: Any) -> LoadRun:
    """Return the run of this process, which run.py makes."""
    run: LoadRun = environment.voxpool
    return run
