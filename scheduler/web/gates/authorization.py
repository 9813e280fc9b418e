"""The check before all doors: who is the caller (a token in the header), and may its role use the route?

ROLES is the one table of the role that each route needs; the application does not start with a route that isn't in it.
The WebSocket doors, which may get the token in their first message instead, call `admit`. The doors check whose job it
is: they get the caller by `caller_of`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import VoxpoolError
from voxpool.scheduler.protocol import close_codes
from voxpool.scheduler.security.authentication import FORBIDDEN, UNAUTHORIZED, AccessRefused, Authentication
from voxpool.scheduler.security.caller import ANYBODY, Caller, Role
from voxpool.scheduler.web.problems import refusal
from voxpool.scheduler.web.wire.connections import connection_of
from voxpool.scheduler.web.wire.frame_socket import FrameSocket

WEBSOCKET = "WS"
OPEN: frozenset[Role] = frozenset(Role)
"""Every caller, also without a token: such a door shows nothing about jobs, nodes or sessions."""
CLIENTS = frozenset({Role.CLIENT, Role.ADMIN})
NODES = frozenset({Role.NODE, Role.ADMIN})
METRICS = frozenset({Role.METRICS, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})

ROLES: dict[tuple[str, str], frozenset[Role]] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/"): OPEN,
    ("GET", "/try"): OPEN,
    ("GET", "/assets/{folder}/{file}"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/ws/session"): OPEN,
    ("GET", "/ws/node"): OPEN,
    (WEBSOCKET, "/ws/session"): CLIENTS,
    (WEBSOCKET, "/ws/node"): NODES,
    ("POST", "/v1/jobs"): CLIENTS,
    ("GET", "/v1/jobs"): CLIENTS,
    ("GET", "/v1/jobs/{job_id}"): CLIENTS,
    ("DELETE", "/v1/jobs/{job_id}"): CLIENTS,
    ("GET", "/v1/jobs/{job_id}/why"): CLIENTS,
    ("GET", "/v1/nodes"): ADMINS,
    ("POST", "/v1/nodes/{node_id}/drain"): ADMINS,
    ("GET", "/v1/pools"): ADMINS,
    ("GET", "/v1/waiting"): ADMINS,
    ("GET", "/v1/dashboard"): ADMINS,
    ("GET", "/v1/debug/memory"): ADMINS,
    ("POST", "/v1/debug/memory"): ADMINS,
    ("GET", "/v1/debug/checkup"): ADMINS,
    ("GET", "/metrics"): METRICS,
}
"""(method, path of the route) -> who may."""
_REFUSALS = {401: UNAUTHORIZED, 403: FORBIDDEN}


class UnguardedRoute(VoxpoolError):
    """A route without an entry in ROLES: a bug, found at the start."""


def caller_of(connection: HTTPConnection) -> Caller:
    """Return the caller of this request. Raises AccessRefused on a route that needs no token."""
    caller: Caller | None = connection.scope["state"]["caller"]
    if caller is None:
        raise AccessRefused(UNAUTHORIZED, "this needs a token")
    return caller


def admit(scope: Scope, token: str | None) -> Caller:
    """Return the caller of a WebSocket: by the `token` of its first message if there is one, else by its header.

    Raises AccessRefused.
    """
    state = scope["state"]
    authentication: Authentication = state["authentication"]
    shown: Caller | None = state["caller"]
    if token is not None:
        shown = authentication.caller(token)
    elif shown is not None:
        shown = authentication.again(shown)  # its token may have been removed since the handshake
    return _checked(shown, state["roles"])


def let_in(scope: Scope, caller: Caller, socket: FrameSocket) -> contextlib.AbstractContextManager[None]:
    """A context in which the connection is open for `caller`; it is closed when the caller's token is removed."""
    authentication: Authentication = scope["state"]["authentication"]
    socket.now_known()
    return authentication.connection(caller, lambda: socket.close_with(close_codes.TOKEN_REMOVED, "token_removed"))


def open_to_all() -> dict[str, Any]:
    """Return the state of a scope that a door sees without tokens; for a door that is run without an application."""
    return {"authentication": Authentication(), "caller": ANYBODY, "roles": OPEN}


def guard_routes(routes: Iterable[BaseRoute]) -> None:
    """Put the check of its entry in ROLES into each route. Raises UnguardedRoute when a route has none."""
    for route in routes:
        if isinstance(route, WebSocketRoute):
            needs = {WEBSOCKET: roles_of(WEBSOCKET, route.path)}
        elif isinstance(route, Route):
            methods = sorted(route.methods or {"*"})
            needs = {method: roles_of("GET" if method == "HEAD" else method, route.path) for method in methods}
        else:
            raise UnguardedRoute(f"{route!r}: only plain routes can be guarded")
        route.app = _RoleCheck(route.app, needs)


def roles_of(method: str, path: str) -> frozenset[Role]:
    """Return who may use a route. Raises UnguardedRoute when ROLES has no entry for it."""
    roles = ROLES.get((method, path))
    if roles is None:
        raise UnguardedRoute(f"{method} {path} has no entry in ROLES: say who may use it")
    return roles


def _checked(caller: Caller | None, roles: frozenset[Role]) -> Caller:
    if caller is None:
        raise AccessRefused(UNAUTHORIZED, "this needs a valid token: Authorization: Bearer …")
    if caller.role not in roles:
        raise AccessRefused(FORBIDDEN, f"a token of the role {caller.role} may not do this")
    return caller


class _RoleCheck:
    """Replaces the door of a route: it calls the door for callers who may use it."""

    def __init__(self, door: ASGIApp, needs: dict[str, frozenset[Role]]) -> None:
        self.door = door
        self.needs = needs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        if scope["type"] == "websocket":
            state["roles"] = roles = self.needs[WEBSOCKET]
            if state["caller"] is None:  # its first message must have the token
                await self.door(scope, receive, send)
                return
            try:
                _checked(state["caller"], roles)
            except AccessRefused as refused:
                await refusal(refused)(scope, receive, send)
                return
            await self.door(scope, receive, send)
            return
        roles = self.needs[scope["method"]]
        if roles is OPEN:
            await self.door(scope, receive, send)
            return
        caller = _checked(state["caller"], roles)
        connection = connection_of(state)
        if connection is not None:
            connection.now_known()
        await _Request(self.door, state["authentication"], caller).run(scope, receive, send)


class _Request:
    """One request of a caller; it ends early when the caller's token is removed meanwhile."""

    def __init__(self, door: ASGIApp, authentication: Authentication, caller: Caller) -> None:
        self._door = door
        self._authentication = authentication
        self._caller = caller
        self._began = False
        self._removed = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            self._removed = True
            task.cancel()

        async def watched(message: Message) -> None:
            self._began = True
            await send(message)

        try:
            with self._authentication.connection(self._caller, end):
                await self._door(scope, receive, watched)
        except asyncio.CancelledError:
            if not self._removed:
                raise
            task.uncancel()
            if self._began:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await refusal(AccessRefused(UNAUTHORIZED, "the token was removed"))(scope, receive, send)


class Authorization:
    """The application with its doors guarded; `observer` receives each refusal."""

    def __init__(self, app: Starlette, authentication: Authentication, observer: Observer) -> None:
        guard_routes(app.routes)
        self.routes = app.routes
        self._app = app
        self._authentication = authentication
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the caller, then let the application answer."""
        state = scope.setdefault("state", {})
        state["authentication"] = self._authentication
        given = Headers(scope=scope).getlist("authorization")

        async def answer(message: Message) -> None:
            reason = _REFUSALS.get(message.get("status", 0))
            if reason is not None:
                client = scope.get("client")
                self._observer.connection_refused("{}:{}".format(*client) if client else "?", reason)
            await send(message)

        state["caller"] = caller = self._authentication.caller(_bearer(given))
        if caller is None and given and scope["type"] == "websocket":
            refused = AccessRefused(UNAUTHORIZED, "this token does not count")
            await refusal(refused)(scope, receive, answer)
            return
        await self._app(scope, receive, answer)


def _bearer(given: list[str]) -> str | None:
    """Return the token of an Authorization header (RFC 6750); two headers are none."""
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
