"""The HTTP door of the dashboard's stream: server-sent events, read by fetch so that a token can be sent with it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from voxpool.scheduler.telemetry.dashboard.snapshot import Dashboard
from voxpool.scheduler.web.requests.query import whole_number

SNAPSHOTS_MAX = 10**9
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # a proxy must not collect what is to be seen now
}


class DashboardDoor:
    """GET /v1/dashboard: the event `past` (Past), then `now` (Snapshot) each second, until the viewer leaves.

    With the parameter `snapshots` it ends after that number of `now` events. A viewer that is slow misses some; one
    that takes nothing is cut off by http_protocol.py.
    """

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[BaseRoute]:
        """Return the route of this door."""
        return [Route("/v1/dashboard", self.watch, methods=["GET"])]

    async def watch(self, request: Request) -> Response:
        """Answer with the stream, or with 503 when too many watch already."""
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        snapshots = whole_number(request, "snapshots", 1, SNAPSHOTS_MAX)
        self._dashboard.enter()
        return _Stream(self._dashboard, snapshots or SNAPSHOTS_MAX)


class _Stream(Response):
    """The stream of one viewer, who has entered."""

    def __init__(self, dashboard: Dashboard, snapshots: int) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._left = snapshots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the viewer or the scheduler goes."""
        try:
            sending = asyncio.ensure_future(self._send_all(send))
            leaving = asyncio.ensure_future(_left(receive))
            try:
                await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving):
                    task.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)
            if not sending.cancelled():
                sending.result()
        finally:
            self._dashboard.leave()

    async def _send_all(self, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _event(send, b"past", await self._dashboard.past())
        number = 0
        while self._left and (newer := await self._dashboard.after(number)) is not None:
            number, snapshot = newer
            self._left -= 1
            await _event(send, b"now", snapshot)
        await send({"type": "http.response.body", "body": b""})


async def _event(send: Send, kind: bytes, data: bytes) -> None:
    await send({"type": "http.response.body", "body": b"event: %b\ndata: %b\n\n" % (kind, data), "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
