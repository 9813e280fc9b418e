"""The outermost layer of the application: what is refused whoever asks and whatever it is about.

Past `connections_max` a new connection is answered 503, and closed; health and metrics are still answered, so that one
can see what is going on. A page from elsewhere is refused (origins.py), and so is a compressed body, which might grow
without end. A WebSocket is refused at its handshake.
"""

from __future__ import annotations

from collections.abc import Sized

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.seams import Observer
from scheduler.web.assets import PAGES
from scheduler.web.origins import Origins
from scheduler.web.problems import problem, status_of

CONNECTIONS_MAX = "connections_max"
ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})
LINKED = frozenset({*PAGES, "/docs"})
"""What other pages may have a link to."""
PLAIN = {"content-encoding": "identity", "transfer-encoding": "chunked"}
"""How a body may come, by the headers that say it."""
LOOKED_AT = frozenset(name.encode() for name in ("host", "origin", "sec-fetch-site", "sec-fetch-mode", *PLAIN))
"""Headers that matter here; most requests have one of them."""


class Entrance:
    """Wraps `app`; `connections` are those that are open, the present one among them (the server sets it)."""

    def __init__(
        self, app: ASGIApp, connections_max: int, retry_after_ms: int, origins: Origins, observer: Observer
    ) -> None:
        self.connections: Sized = ()
        self._app = _for_pages_elsewhere(app, origins) if origins.allowed else app
        self._connections_max = connections_max
        self._retry_after_ms = retry_after_ms
        self._origins = origins
        self._observer = observer

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
        if len(self.connections) > self._connections_max and scope["path"] not in ALWAYS:
            self._tell(scope, CONNECTIONS_MAX)
            detail = f"{self._connections_max} connections are open, the most allowed"
            response = problem(503, CONNECTIONS_MAX, detail, self._retry_after_ms)
            response.headers["connection"] = "close"
            return response
        headers = Headers(raw=[header for header in scope["headers"] if header[0] in LOOKED_AT])
        wrong = self._origins.wrong(headers, is_page=scope["path"] in LINKED)
        if wrong is not None:
            self._tell(scope, wrong[0])
            return problem(status_of(wrong[0]), *wrong)
        coding = _coding(headers)
        if coding:
            detail = f"the body is in {coding[:40]!r}: bodies are taken as they are, not compressed"
            return problem(status_of("compressed"), "compressed", detail)
        return None

    def _tell(self, scope: Scope, reason: str) -> None:
        client = scope.get("client")
        self._observer.connection_refused("{}:{}".format(*client) if client else "?", reason)


def _coding(headers: Headers) -> str:
    """Return in what a body is packed, or nothing."""
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
