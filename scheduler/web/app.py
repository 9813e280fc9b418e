"""The ASGI application of a scheduler: all its doors, put together."""

from __future__ import annotations

import random

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route, WebSocketRoute

from voxpool.leakgate.inside.report import MemoryReporter
from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.security.authentication import AccessRefused, Authentication
from voxpool.scheduler.telemetry.checkup import CheckupReporter
from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.telemetry.metrics.exporter import Exporter
from voxpool.scheduler.web import problems
from voxpool.scheduler.web.assets import asset_routes
from voxpool.scheduler.web.dashboard import DashboardDoor
from voxpool.scheduler.web.debug import DebugDoor
from voxpool.scheduler.web.fleet_views import FleetDoor
from voxpool.scheduler.web.gates.authorization import Authorization
from voxpool.scheduler.web.gates.errors_answered import OnError, answer_errors
from voxpool.scheduler.web.gates.origins import Origins
from voxpool.scheduler.web.gates.rate_limit import RateLimit
from voxpool.scheduler.web.gates.request_filter import RequestFilter
from voxpool.scheduler.web.health import Health
from voxpool.scheduler.web.jobs import JobDoor
from voxpool.scheduler.web.metrics import MetricsDoor
from voxpool.scheduler.web.nodes import NodeDoor
from voxpool.scheduler.web.openapi.docs_page import DocsDoor
from voxpool.scheduler.web.openapi.document import document, query_keys
from voxpool.scheduler.web.openapi.operations import operations
from voxpool.scheduler.web.requests.query import check_queries
from voxpool.scheduler.web.sessions.door import SessionDoor
from voxpool.scheduler.web.sessions.results import Results
from voxpool.scheduler.web.waiting import WaitingDoor
from voxpool.scheduler.web.why import WhyDoor
from voxpool.scheduler.web.wire.allowance import Incoming, client_message_bytes_max
from voxpool.scheduler.web.wire.connections import Connections
from voxpool.scheduler.web.wire.handshakes import NoWebSocketHere

ERRORS: dict[type[Exception], OnError] = {
    BadInput: problems.on_bad_input,
    Rejected: problems.on_rejected,
    AccessRefused: problems.on_access_refused,
    HTTPException: problems.on_http_exception,
    MemoryError: problems.on_out_of_memory,
    Exception: problems.on_crash,
}
"""How each kind of error is answered."""


class Doors:
    """The doors and their application, `app`; a server runs `request_filter`, which wraps it.

    Without an `exporter` it has no /metrics, /v1/debug and /v1/waiting; without `authentication` no token is needed.
    `wanted` are the settings of the user, where the machine allows less.
    """

    def __init__(
        self,
        settings: Settings,
        core: Core,
        results: Results,
        health: Health,
        observer: Observer,
        random: random.Random,
        log: Log,
        exporter: Exporter | None = None,
        authentication: Authentication | None = None,
        dashboard: Dashboard | None = None,
        wanted: Settings | None = None,
    ) -> None:
        if authentication is None:
            authentication = Authentication()
        self.rate_limit = rate_limit = RateLimit(settings, core.table, observer, authentication.own_rates)
        self.incoming = Incoming(settings.incoming_bytes_max)
        self.connections = Connections(settings.connections_max, observer)
        self.sessions = SessionDoor(settings, core.dispatcher, rate_limit, results, observer, random, log)
        self.nodes = NodeDoor(settings, core.node_events, observer, log, client_message_bytes_max(settings))
        observed: list[BaseRoute] = []
        if exporter is not None:
            roots = {"core": core, "results": results, "sessions": self.sessions, "nodes": self.nodes, "doors": self}
            roots |= {} if dashboard is None else {"dashboard": dashboard}
            reporter = MemoryReporter(
                roots,
                exporter.seconds,
                ["voxpool.scheduler"],
                lambda: core.why.bounds("core.why") | ({} if dashboard is None else dashboard.bounds("dashboard")),
            )
            checkup = CheckupReporter(
                wanted or settings,
                exporter.store,
                exporter.now_ms,
                not authentication.open_to_all,
                lambda: health.store_error,
            )
            observed = [
                *MetricsDoor(exporter).routes(),
                *DebugDoor(reporter, checkup).routes(),
                *WaitingDoor(core, exporter.now_ms).routes(),
            ]
        described = operations(settings)
        app = Starlette(
            routes=[
                *JobDoor(
                    settings, core.dispatcher, rate_limit, self.incoming, results, observer, random
                ).routes(),  # first: the router asks them in turn
                WebSocketRoute("/ws/session", self.sessions),
                WebSocketRoute("/ws/node", self.nodes),
                *(Route(path, problems.upgrade_required, methods=["GET"]) for path in ("/ws/session", "/ws/node")),
                *WhyDoor(settings, core).routes(),
                *FleetDoor(settings, core, health, rate_limit).routes(),
                *asset_routes(),
                *(DashboardDoor(dashboard).routes() if dashboard is not None else []),
                *observed,
                *DocsDoor(document(described, secured=not authentication.open_to_all)).routes(),
            ],
            exception_handlers={**ERRORS},  # for WebSockets
        )
        app.router.default = NoWebSocketHere(app.router.default)
        check_queries(app.routes, query_keys(described))
        answer_errors(app, ERRORS)
        self.app = Authorization(app, authentication, observer)
        origins = Origins(settings.host, settings.origins, settings.hosts, authentication.open_to_all)
        self.request_filter = RequestFilter(self.app, self.connections, ms(settings.retry_after_s), origins, observer)
