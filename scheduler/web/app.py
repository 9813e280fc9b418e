"""The ASGI application of a scheduler: all its doors, put together."""

from __future__ import annotations

import random

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route, WebSocketRoute

from leakgate.inside.report import MemoryReporter
from scheduler.config import Settings, ms
from scheduler.core import Core
from scheduler.errors import BadInput, Rejected
from scheduler.seams import Observer
from scheduler.security.access import Access, AccessRefused
from scheduler.telemetry.checkup import CheckupReporter
from scheduler.telemetry.exporter import Exporter
from scheduler.telemetry.live import Live
from scheduler.telemetry.logs import Log
from scheduler.web import problems
from scheduler.web.admission import Admission
from scheduler.web.allowance import Incoming, client_message_bytes_max
from scheduler.web.assets import asset_routes
from scheduler.web.connections import Connections
from scheduler.web.debug import DebugDoor
from scheduler.web.docs_page import DocsDoor
from scheduler.web.entrance import Entrance
from scheduler.web.fleet_views import FleetDoor
from scheduler.web.guard import Guard
from scheduler.web.handshakes import NoWebSocketHere
from scheduler.web.health import Health
from scheduler.web.jobs import JobDoor
from scheduler.web.live import LiveDoor
from scheduler.web.metrics import MetricsDoor
from scheduler.web.nodes import NodeDoor
from scheduler.web.openapi import operations
from scheduler.web.openapi_frame import document, query_keys
from scheduler.web.origins import Origins
from scheduler.web.query import check_queries
from scheduler.web.results import Results
from scheduler.web.sessions import SessionDoor
from scheduler.web.why import WhyDoor


class Doors:
    """The doors and the application that has them, `app`; what a server is given is its `entrance`.

    Without an `exporter` it has neither /metrics nor /v1/debug; without `access` nobody needs a token. `wanted` are the
    settings as they were given, where the machine allows less.
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
        access: Access | None = None,
        live: Live | None = None,
        wanted: Settings | None = None,
    ) -> None:
        if access is None:
            access = Access()
        self.admission = admission = Admission(settings, core.table, observer, access)
        self.incoming = Incoming(settings.incoming_bytes_max)
        self.connections = Connections(settings.connections_max, observer)
        self.sessions = SessionDoor(settings, core.dispatcher, admission, results, observer, random, log)
        self.nodes = NodeDoor(settings, core.node_desk, observer, log, client_message_bytes_max(settings))
        observed: list[BaseRoute] = []
        if exporter is not None:
            roots = {"core": core, "results": results, "sessions": self.sessions, "nodes": self.nodes, "doors": self}
            roots |= {} if live is None else {"live": live}
            reporter = MemoryReporter(
                roots,
                exporter.seconds,
                ["scheduler"],
                lambda: core.why.bounds("core.why") | ({} if live is None else live.bounds("live")),
            )
            checkup = CheckupReporter(
                wanted or settings,
                exporter.store,
                exporter.now_ms,
                not access.open_to_all,
                lambda: health.store_error,
            )
            observed = [*MetricsDoor(exporter).routes(), *DebugDoor(reporter, checkup).routes()]
        described = operations(settings)
        app = Starlette(
            routes=[
                WebSocketRoute("/ws/session", self.sessions),
                WebSocketRoute("/ws/node", self.nodes),
                *(Route(path, problems.upgrade_required, methods=["GET"]) for path in ("/ws/session", "/ws/node")),
                *JobDoor(settings, core.dispatcher, admission, self.incoming, results, observer, random).routes(),
                *WhyDoor(settings, core).routes(),
                *FleetDoor(settings, core, health, admission).routes(),
                *asset_routes(),
                *(LiveDoor(live).routes() if live is not None else []),
                *observed,
                *DocsDoor(document(described, secured=not access.open_to_all)).routes(),
            ],
            exception_handlers={
                BadInput: problems.on_bad_input,
                Rejected: problems.on_rejected,
                AccessRefused: problems.on_access_refused,
                HTTPException: problems.on_http_exception,
                MemoryError: problems.on_out_of_memory,
                Exception: problems.on_crash,
            },
        )
        app.router.default = NoWebSocketHere(app.router.default)
        check_queries(app.routes, query_keys(described))
        self.app = Guard(app, access, observer)
        origins = Origins(settings.host, settings.origins, settings.hosts, access.open_to_all)
        self.entrance = Entrance(self.app, self.connections, ms(settings.retry_after_s), origins, observer)
