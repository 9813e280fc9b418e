"""What the users of one process share in a test: the workload, who is who, what is counted, and how it is told.

A part of the run: it begins anew with each test. Users find it as `traffic_of(environment)`.
"""

from __future__ import annotations

import heapq
import os
import ssl
import time
from typing import Any

from gevent.lock import BoundedSemaphore

from voxpool.loadtest.options._options import DEFAULT_HOST, ENVIRONMENT, fields_of_options, read_options
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.running._preflight import room_here
from voxpool.loadtest.users import _workload
from voxpool.loadtest.users._arrivals import Arrivals
from voxpool.loadtest.users._counts import Counts
from voxpool.loadtest.users._state import STATE
from voxpool.loadtest.users._workload import Workload
from voxpool.scheduler.chance import fresh_random
from voxpool.scheduler.sdk.wire.connection import door_url
from voxpool.scheduler.sdk.wire.tls import tls_context
from voxpool.scheduler.service.open_files import allow

CONNECTING_MAX = 50
"""Users of a process that connect at a time: a thousand at once would be no load but a flood."""
FILES_BESIDE = 200
CLIENT_USERS, WORKERS = "voxpool_client_users", "voxpool_workers"
"""Among the options that a master sends: client users in all, over which a scenario's rates are spread, and workers."""

HTTP, WS, NODE = "HTTP", "WS", "NODE"
"""Kinds of requests; beside them stands the operation."""


class Traffic:
    """The traffic of one process that generates load."""

    def __init__(self, context: Context, counts: Counts) -> None:
        self._context = context
        self.counts = counts
        self.workload: Workload = Workload(())
        self.run_id = ""
        """In every request and node id, so that two runs against one scheduler never meet."""
        self.begun_s = 0.0
        self.client_users = 1
        self.connecting = BoundedSemaphore(CONNECTING_MAX)
        self.tls: ssl.SSLContext | None = None
        self._numbers: dict[str, list[int]] = {}
        self._highest: dict[str, int] = {}
        self._index = 0
        context.environment.voxpool_traffic = self

    # A part of the run.

    def start(self) -> None:
        """A test starts. Raises CannotLoad when this process may not have the open files for its users."""
        context, options = self._context, self._context.options
        self.workload = _workload.of_options(options)
        self.counts.clear()
        self.run_id = f"{fresh_random().getrandbits(32):08x}"
        self.begun_s = 0.0
        self._numbers, self._highest = {}, {}
        parsed = context.environment.parsed_options
        if context.shape is not None:
            setattr(parsed, CLIENT_USERS, context.shape.users_max)
            setattr(parsed, WORKERS, context.runner.worker_count)
        self.client_users = max(1, int(getattr(parsed, CLIENT_USERS, 1)))
        self._index = max(0, getattr(context.runner, "worker_index", 0))
        self.tls = tls_context(options.ca_file or None) if context.host.startswith("https:") else None
        if context.role == "master":
            return
        workers = max(1, int(getattr(parsed, WORKERS, 1))) if context.role == "worker" else 1
        clients, nodes = self.client_users / workers, self.workload.nodes / workers
        allow(round(FILES_BESIDE + 2 * nodes + clients * (2 + min(20, options.outstanding_max))))
        room_here(clients, nodes + options.misbehaving / workers)

    def stop(self) -> None:
        """The test is over."""

    # The identity of each user.

    def enter(self, kind: str) -> int:
        """Return a number for a user of `kind` that no other of this process has; `leave` gives it back.

        A client never does: its number is in its request ids, and a request id stands for one job.
        """
        free = self._numbers.setdefault(kind, [])
        if free:
            return heapq.heappop(free)
        number = self._highest.get(kind, 0)
        self._highest[kind] = number + 1
        return number

    def leave(self, kind: str, number: int) -> None:
        """A user has gone; the next one gets its number."""
        heapq.heappush(self._numbers.setdefault(kind, []), number)

    def name(self, kind: str, number: int) -> str:
        """Return the id of a user in the whole run, for the scheduler."""
        return f"{kind}-{self.run_id}-{self._index}-{number}"

    def node_index(self, number: int) -> int:
        """Return which of the workload's nodes the `number`-th of this process is: workers take turns."""
        workers = int(getattr(self._context.environment.parsed_options, WORKERS, 1))
        return number * max(1, workers) + self._index

    def arrivals_of(self, number: int) -> Arrivals:
        """Return the arrivals of a client user; the time of a scenario begins with the first of the process."""
        self.begun_s = self.begun_s or time.monotonic()
        return Arrivals(
            self.workload.of_one(self.client_users),
            self.workload.seed,
            f"client-{self._index}-{number}",
            clock=time.monotonic,
            counts=self.counts,
            late_s=self._context.options.late_ms / 1000,
            begun_s=self.begun_s,
        )

    # Where the scheduler is.

    @property
    def context(self) -> Context:
        """The run."""
        return self._context

    @property
    def host(self) -> str:
        """The scheduler's URL, without a slash at its end."""
        return self._context.host.rstrip("/")

    def door(self, path: str) -> str:
        """Return the URL of a WebSocket."""
        return door_url(self.host, path)

    @property
    def answers_are_ours(self) -> bool:
        """True when all results come from node users, so that they can be checked to the byte."""
        return self.workload.nodes > 0

    # What happened.

    def tell(self, kind: str, name: str, seconds: float, size: int = 0, failure: str = "") -> None:
        """A request of the operation `name` took `seconds`, from its intended start; `failure` is a word, "" = none."""
        self._context.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=size,
            exception=failure or None,
            context={},
        )

    def may_ask(self) -> bool:
        """True when new jobs may be sent."""
        return STATE.open

    def begun(self) -> None:
        """A job is about to be sent."""
        STATE.outstanding += 1

    def ended(self) -> None:
        """A job has its end, whichever."""
        STATE.outstanding -= 1


def traffic_of(environment: Any, host: str | None = None) -> Traffic:
    """Return that of this process. A locustfile that is not ours gets one at its first user, for `host`.

    Raises ConfigError when a variable VOXPOOL_LOAD_… is wrong.
    """
    if not hasattr(environment, "voxpool_traffic"):
        _of_another_locustfile(environment, host or DEFAULT_HOST)
    traffic: Traffic = environment.voxpool_traffic
    return traffic


def _of_another_locustfile(environment: Any, host: str) -> None:
    """Make a traffic without a load run of ours: its options are the variables alone, and its nodes are not ours."""
    given = {name: os.environ.get(ENVIRONMENT + name.upper()) for name in fields_of_options()}
    options = read_options({**given, "nodes": 0})
    Traffic(Context(environment, environment.runner, None, "local", options=options, host=host), Counts()).start()
