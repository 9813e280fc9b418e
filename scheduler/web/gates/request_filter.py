"""The outermost layer of the application: it refuses requests regardless of caller and route.

When `connections_max` known peers are connected a stranger is answered 503, and closed; health and metrics are still
answered, so that the state can be seen. It also refuses a request without exactly one Host, a page from
elsewhere (origins.py), and a compressed body, which might grow without end. A WebSocket is refused at its handshake.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.web.assets import PAGES
from voxpool.scheduler.web.gates.origins import Origins
from voxpool.scheduler.web.problems import problem, status_of
from voxpool.scheduler.web.wire.connections import CONNECTIONS_MAX, Connections, connection_of

ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})
LINKED = frozenset({*PAGES, "/docs"})
"""Paths that other pages may have a link to."""
PLAIN = {"content-encoding": "identity", "transfer-encoding": "chunked"}
"""The allowed codings of a body, by header."""
LOOKED_AT = frozenset(name.encode() for name in ("host", "origin", "sec-fetch-site", "sec-fetch-mode", *PLAIN))
"""Headers that matter here; most requests have one of them."""


class RequestFilter:
    """Wraps `app`; `connections` are those that are open, the present one among them."""

    def __init__(
        self, app: ASGIApp, connections: Connections, retry_after_ms: int, origins: Origins, observer: Observer
    ) -> None:
        self._connections = connections
        self._app = _for_pages_elsewhere(app, origins) if origins.allowed else app
        self._retry_after_ms = retry_after_ms
        self._origins = origins
        self._observer = observer
        self._allowed: object = None
        """All that the last request that was allowed was judged by: most requests resemble the one before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
        await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if self._connections.is_full and scope["path"] not in ALWAYS and not _is_known(scope):
            self._tell(scope, CONNECTIONS_MAX)
            detail = f"{self._connections.connections_max} connections are open, the most allowed"
            response = problem(503, CONNECTIONS_MAX, detail, self._retry_after_ms)
            response.headers["connection"] = "close"
            return response
        looked_at = [header for header in scope["headers"] if header[0] in LOOKED_AT]
        here = scope["server"][0] if scope.get("server") else ""
        seen = (looked_at, scope["http_version"], scope["path"] in LINKED, here)
        if seen == self._allowed:
            return None
        headers = Headers(raw=looked_at)
        hosts = headers.getlist("host")
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            return problem(status_of("bad_request"), "bad_request", "a request has one Host header (RFC 9112, 3.2)")
        wrong = self._origins.wrong(headers, scope["path"] in LINKED, here)
        if wrong is not None:
            self._tell(scope, wrong[0])
            return problem(status_of(wrong[0]), *wrong)
        coding = _coding(headers)
        if coding:
            detail = f"the body is in {coding[:40]!r}: bodies must not be compressed"
            return problem(status_of("compressed"), "compressed", detail)
        self._allowed = seen
        return None

    def _tell(self, scope: Scope, reason: str) -> None:
        client = scope.get("client")
        self._observer.connection_refused("{}:{}".format(*client) if client else "?", reason)


def _is_known(scope: Scope) -> bool:
    connection = connection_of(scope["state"])
    return connection is not None and connection.is_known


def _coding(headers: Headers) -> str:
    """Return the coding of a body, or nothing."""
    words = [
        (name, word.strip().lower()) for name in PLAIN for value in headers.getlist(name) for word in value.split(",")
    ]
    return ", ".join(word for name, word in words if word and word != PLAIN[name])


def _for_pages_elsewhere(app: ASGIApp, origins: Origins) -> ASGIApp:
    """Return `app` with the headers that let pages of allowed origins read its answers (CORS)."""
    return CORSMiddleware(
        app,
        allow_origins=sorted(origins.allowed),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type", "idempotency-key", "traceparent"],
        expose_headers=["location", "retry-after"],
    )
