"""Prepares a test: reads and checks options, starts or checks the scheduler, and counts users."""

from __future__ import annotations

import atexit
from datetime import UTC, datetime
from typing import Any

import msgspec

from voxpool.loadtest.options._options import ON_THE_COMMAND_LINE, read_options
from voxpool.loadtest.processes._own_redis import OwnRedis
from voxpool.loadtest.processes._own_scheduler import OwnScheduler
from voxpool.loadtest.report._reporting import make_folder
from voxpool.loadtest.running._part import Context, folder_of
from voxpool.loadtest.running._preflight import examine, room_here, served_there
from voxpool.loadtest.running._shapes import Common, Shape, complete, shape_of
from voxpool.loadtest.users import _crowd, _workload
from voxpool.loadtest.verdict._expectations import DEFAULTS, MEMORY
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.scenario.expect import for_a_load_run, parse_expectation


class Prepared(msgspec.Struct, frozen=True):
    """A test that may start."""

    shape: Shape
    standing: int
    """Users that are present all the time, before the shape begins."""


class Preparing:
    """Prepares a run in the process that decides. A scheduler that it starts ends with the process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: dict[str, Any] = {}
        self._run_time_s: float | None = None
        """The value of -t, when Locust starts the test without a page."""
        self._own: OwnScheduler | None = None

    def redis(self) -> OwnRedis | None:
        """Return the Redis that may be killed, if there is one."""
        return None if self._own is None else self._own.redis

    def fill_in(self) -> None:
        """Set -u and -r, when not given, to the values of the shape, and keep values that a page must not change.

        Raises ConfigError.
        """
        parsed = self._context.environment.parsed_options
        self._context.folder = folder_of(parsed.out or "", self._context.started)
        options = read_options(vars(parsed))
        common = complete(Common(parsed.num_users, parsed.spawn_rate), options.shape)
        parsed.num_users, parsed.spawn_rate = common.users, common.spawn_rate
        if parsed.headless or parsed.autostart:
            # Locust reads it after the end of the shape: it would print a limit, and stop the page's next test.
            self._run_time_s, parsed.run_time = parsed.run_time, None
        self._kept = {name: getattr(options, name) for name in ON_THE_COMMAND_LINE}

    def prepare(self) -> Prepared:
        """Check the requirements of the next test, and return it. Raises ConfigError."""
        context = self._context
        parsed = context.environment.parsed_options
        vars(parsed).update(self._kept)
        context.started = datetime.now(UTC)
        context.folder = folder_of(parsed.out or "", context.started)
        context.ended_by = context.gone = context.refused = ""
        context.missing.clear()
        context.notes.clear()
        context.seen = None
        classes = _crowd.selected(context.environment)
        context.options = options = read_options(vars(parsed))
        make_folder(context.folder)
        workload = _workload.of_options(options)
        context.nodes = workload.nodes
        self._expect(workload)
        context.run_time_s = parsed.run_time or self._run_time_s
        run_time_s = context.run_time_s or workload.duration_s
        context.shape = shape = shape_of(options, Common(parsed.num_users, parsed.spawn_rate, run_time_s))
        crowd = _crowd.arrange(classes, options, workload.nodes)
        if not crowd.classes:
            raise ConfigError("there are no users to spawn")
        if context.role == "local":
            room_here(shape.users_max, crowd.standing)
        if options.with_scheduler:
            self._start_scheduler()
        context.host = context.environment.host.rstrip("/")
        context.seen = examine(context.host, options, shape.users_max, crowd.standing)
        if not crowd.nodes and not (options.shape == "chaos" and options.kill_nodes):
            unknown = served_there(context.host, options, workload.pairs)
            context.notes += [f"Whether the scheduler has nodes is not known: {unknown}."] if unknown else []
        context.environment.user_classes = list(crowd.classes)
        return Prepared(shape, crowd.standing)

    def stop(self) -> None:
        """Stop the scheduler that was started here."""
        if self._own is not None:
            self._own.stop()
            self._own = None

    def _expect(self, workload: _workload.Workload) -> None:
        """Combine the expectations of the test; options override the scenario."""
        context = self._context
        own = [parse_expectation(text) for text in context.options.expect]
        context.expectations, left_out = for_a_load_run(DEFAULTS, workload.expect, own)
        if context.options.memory == "off":
            off = [one for one in context.expectations if one.loaded.startswith(MEMORY)]
            context.expectations = [one for one in context.expectations if one not in off]
            left_out += off
        if left_out:
            names = ", ".join(f"{one.name} {one.limit}" for one in left_out)
            context.notes.append(f"Not checked in this load run, which doesn't have the figure: {names}.")

    def _start_scheduler(self) -> None:
        context = self._context
        if self._own is None:
            self._own = OwnScheduler(context.folder, context.options.store, context.options.serve_flags)
            atexit.register(self.stop)
        context.environment.host = self._own.url
