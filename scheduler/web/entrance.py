"""The outermost layer of the application: past `connections_max` a new connection is answered 503, and closed.

A WebSocket is refused at its handshake. Health and metrics are still answered, so that one can see what is going on.
"""

from __future__ import annotations

from collections.abc import Sized

from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.seams import Observer
from scheduler.web.problems import problem

ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})


class Entrance:
    """Wraps `app`; `connections` are those that are open, the present one among them (the server sets it)."""

    def __init__(self, app: ASGIApp, connections_max: int, retry_after_ms: int, observer: Observer) -> None:
        self.connections: Sized = ()
        self._app = app
        self._connections_max = connections_max
        self._retry_after_ms = retry_after_ms
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it and its connection."""
        if len(self.connections) <= self._connections_max or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        self._observer.connection_refused("{}:{}".format(*client) if client else "?", "connections_max")
        detail = f"{self._connections_max} connections are open, the most allowed"
        response = problem(503, "connections_max", detail, self._retry_after_ms)
        response.headers["connection"] = "close"
        if scope["type"] == "websocket":
            await receive()
        await response(scope, receive, send)
