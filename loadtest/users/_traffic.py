"""Shared data of one process's users in a test: the workload, identities of users, counts, and reporting to Locust.

A part of the run: it is reset at each test. Users get it by `traffic_of(environment)`.
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
"""Number of users of a process that connect at the same time, so that a thousand don't connect at once."""
FILES_BESIDE = 200
CLIENT_USERS, WORKERS = "voxpool_client_users", "voxpool_workers"
"""Keys of options that a master adds: the number of client users, which share a scenario's rates, and of workers."""

HTTP, WS, NODE, KEY = "HTTP", "WS", "NODE", "KEY"
"""Types of requests in Locust's statistics; the name is the operation. That of KEY is a key: each end of a job that has
one counts there, too.
"""


class Traffic:
    """The traffic of one process that generates load."""

    def __init__(self, context: Context, counts: Counts) -> None:
        self._context = context
        self.counts = counts
        self.workload: Workload = Workload(())
        self.run_id = ""
        """Part of every request and node id, so that ids of two runs against one scheduler differ."""
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
        """Begin a test. Raises CannotLoad when the limit of open files is too low for the users."""
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
        """End the test."""

    # The identity of each user.

    def enter(self, kind: str) -> int:
        """Return a number for a user of `kind` that is unique in this process; `leave` releases it.

        Numbers of clients are never released: they are in request ids, and a request id stands for one job.
        """
        free = self._numbers.setdefault(kind, [])
        if free:
            return heapq.heappop(free)
        number = self._highest.get(kind, 0)
        self._highest[kind] = number + 1
        return number

    def leave(self, kind: str, number: int) -> None:
        """Release the number of a user for the next one."""
        heapq.heappush(self._numbers.setdefault(kind, []), number)

    def name(self, kind: str, number: int) -> str:
        """Return the id of a user that is unique in the run, for the scheduler."""
        return f"{kind}-{self.run_id}-{self._index}-{number}"

    def node_index(self, number: int) -> int:
        """Return the index in the workload's nodes of this process's node `number`; workers alternate."""
        workers = int(getattr(self._context.environment.parsed_options, WORKERS, 1))
        return number * max(1, workers) + self._index

    def arrivals_of(self, number: int) -> Arrivals:
        """Return the arrivals of a client user; the time of a scenario starts with the first user of the process."""
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

    # Addresses of the scheduler.

    @property
    def context(self) -> Context:
        """The run."""
        return self._context

    def host_of(self, number: int) -> str:
        """Return the URL of the scheduler of the user `number`, without a trailing slash: users take turns over all."""
        hosts = [self._context.host, *self._context.options.more_hosts]
        return hosts[number % len(hosts)].rstrip("/")

    def door(self, path: str, number: int) -> str:
        """Return the URL of a WebSocket of the user `number`."""
        return door_url(self.host_of(number), path)

    @property
    def answers_are_ours(self) -> bool:
        """True when all results come from node users, so that their content can be checked."""
        return self.workload.nodes > 0

    # Events.

    def tell(self, kind: str, name: str, seconds: float, size: int = 0, failure: str = "") -> None:
        """Report a request of the operation `name` that took `seconds` from its intended start; no `failure`: ""."""
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
        """Count a job before it is sent."""
        STATE.outstanding += 1

    def ended(self) -> None:
        """Count the end of a job, in whatever state."""
        STATE.outstanding -= 1


def traffic_of(environment: Any, host: str | None = None) -> Traffic:
    """Return the traffic of this process. For another locustfile it is made at its first user, for `host`.

    Raises ConfigError when a variable VOXPOOL_LOAD_… is invalid.
    """
    if not hasattr(environment, "voxpool_traffic"):
        _of_another_locustfile(environment, host or DEFAULT_HOST)
    traffic: Traffic = environment.voxpool_traffic
    return traffic


def _of_another_locustfile(environment: Any, host: str) -> None:
    """Make a traffic without a load run: its options come from variables only, and its nodes are not node users."""
    given = {name: os.environ.get(ENVIRONMENT + name.upper()) for name in fields_of_options()}
    options = read_options({**given, "nodes": 0})
    Traffic(Context(environment, environment.runner, None, "local", options=options, host=host), Counts()).start()
