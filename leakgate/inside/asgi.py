"""An ASGI application for a server that returns its memory report, and a middleware that counts work.

    app.add_middleware(CountRequests)
    app.mount("/debug/leakgate", MemoryApp(roots={"app": app, "shop": sys.modules["shop"]}, token="…"))

The report names objects and source lines of the server, and a collection blocks it for a moment: without a token the
path must not be publicly reachable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from voxpool.leakgate.errors import BadRequest, TraceError
from voxpool.leakgate.inside.door import UNIT, Answer, Door, done, failed, read_query, switch_trace
from voxpool.leakgate.inside.work import Work

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class MemoryApp(Door):
    """Answers GET with a MemoryReport, POST with the state of the tracing; door.py has the parameters of both."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        if scope["type"] != "http":
            return
        self.discount(scope.get(UNIT))
        answer = await self._answer(scope)
        headers = [("content-type", "application/json"), ("cache-control", "no-store"), *answer.headers]
        headers.append(("content-length", str(len(answer.body))))
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: Scope) -> Answer:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        method, query = scope["method"], scope["query_string"].decode("latin-1")
        refused = self.refused(method, headers.get(b"authorization", ""), headers.get(b"sec-fetch-site", ""))
        if refused is not None:
            return refused
        try:
            if method == "POST":
                return done(await asyncio.to_thread(switch_trace, self.tracer, query))
            asked = read_query(query)
            trace = await asyncio.to_thread(self.tracer.top) if asked.trace else None
            report = await self.reporter.report(asked.collect, asked.types, asked.sizes)
        except (BadRequest, TraceError) as error:
            return failed(error)
        report.trace = trace
        return done(report)


class CountRequests:
    """Middleware: counts requests and WebSocket connections that ended, those in flight, and those that failed (an
    exception, or a status of 500 and above). `work` is the counter to use, for a server that has several applications.
    """

    def __init__(self, app: App, work: Work | None = None) -> None:
        self._app = app
        self.work = work or Work()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request around the application's answer."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        unit = self.work.begin()
        scope[UNIT] = unit
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] in ("websocket.accept", "websocket.close"):
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except BaseException:
            unit.end(failed=True)
            raise
        unit.end(failed=status >= 500)
