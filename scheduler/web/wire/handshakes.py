"""Answers to refused requests for a WebSocket: problems, like every other error of HTTP."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.datastructures import Headers
from websockets.http11 import Response

from voxpool.scheduler.web.problems import problem

REASONS = {
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
}
"""The reason of each status that the library refuses a handshake with; what isn't here is bad_request."""


def refused_handshake(status: int, text: str) -> Response:
    """Return the refusal of a handshake that violates RFC 6455, in place of the plain text of the library."""
    refused = problem(status, REASONS.get(HTTPStatus(status), "bad_request"), text or HTTPStatus(status).phrase)
    headers = Headers([(name.decode(), value.decode()) for name, value in refused.raw_headers])
    headers["connection"] = "close"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = "GET"
    return Response(int(status), HTTPStatus(status).phrase, headers, bytes(refused.body))


class NoWebSocketHere:
    """What the router runs where there is no route: `not_found` for HTTP, a problem for a WebSocket."""

    def __init__(self, not_found: ASGIApp) -> None:
        self._not_found = not_found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse."""
        if scope["type"] != "websocket":
            await self._not_found(scope, receive, send)
            return
        await receive()
        refused = problem(HTTPStatus.NOT_FOUND, "not_found", "the WebSockets are at /ws/session and /ws/node")
        await refused(scope, receive, send)
