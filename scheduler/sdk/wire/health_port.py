"""A port that tells a supervisor, such as Kubernetes, whether a worker is there and whether it takes jobs.

`GET /healthz` is answered with 200 as long as the worker runs, `GET /readyz` with 200 while it is registered and does
not drain, else with 503. The text says what the worker does. Each connection gets one answer.
"""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Callable
from typing import ClassVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk.wire.trouble import trouble

REGISTERED = "registered"
OPEN_TIMEOUT_S = 5.0
"""The time in which a request must have come."""
CONNECTIONS_MAX = 16
"""Connections that are open at a time; a further one is cut off."""
_log = logging.getLogger("voxpool.health")
_log.addHandler(logging.NullHandler())
_log.propagate = False


class HealthPort:
    """Listens on `host` and `port`, 0 = a free one. `state` says what the worker does: REGISTERED when it is ready."""

    def __init__(self, host: str, port: int, state: Callable[[], str]) -> None:
        self.host, self.port = host, port
        self._state = state
        self._server: Server | None = None

    async def open(self) -> None:
        """Listen from now on; `port` is the one in use. Raises ConfigError when that is impossible."""
        try:
            self._server = await serve(
                _no_websocket,
                self.host,
                self.port,
                process_request=self._answer,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=OPEN_TIMEOUT_S,
                server_header=None,
                create_connection=_OneOfFew.of_a_server(),
                logger=_log,
            )
        except OSError as error:
            raise ConfigError(f"health port: {trouble(f'{self.host}:{self.port}', error)}") from None
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _answer(self, connection: ServerConnection, request: Request) -> Response:
        state = self._state()
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, f"{state}\n")
        if request.path == "/readyz":
            is_ready = state == REGISTERED
            status = http.HTTPStatus.OK if is_ready else http.HTTPStatus.SERVICE_UNAVAILABLE
            return connection.respond(status, f"{state}\n")
        return connection.respond(http.HTTPStatus.NOT_FOUND, "there are /healthz and /readyz\n")


class _OneOfFew(ServerConnection):
    """A connection that is cut off when CONNECTIONS_MAX others of its server are open."""

    others: ClassVar[set[ServerConnection]]

    @classmethod
    def of_a_server(cls) -> type[ServerConnection]:
        """Return the class of the connections of one server."""
        return type("OneOfFew", (cls,), {"others": set()})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.others.add(self)
        if len(self.others) > CONNECTIONS_MAX:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.others.discard(self)
        super().connection_lost(exc)


async def _no_websocket(connection: ServerConnection) -> None:
    """Is never called: each request is answered before its handshake."""
