"""The HTTP server behind the doors: uvicorn with bounds on every connection, and its listening socket.

It knows sockets and settings; the application answers, and serve.py decides when to stop.
"""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any

from uvicorn import Config, Server

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import CannotStart, ConfigError
from voxpool.scheduler.security.tls import ServerTls
from voxpool.scheduler.telemetry.logs.log import Log, carry_standard_logging
from voxpool.scheduler.web.gates.request_filter import RequestFilter
from voxpool.scheduler.web.wire.allowance import Bounds, Incoming, frame_bytes_max
from voxpool.scheduler.web.wire.connections import Acceptor, Connections
from voxpool.scheduler.web.wire.http_protocol import BoundedHttp
from voxpool.scheduler.web.wire.peer_socket import PeerSocket

SEND_BUFFER_BYTES = 512 * 1024
"""The kernel's part of what waits to be sent to a peer; without a limit it takes 4 MB before a stall is noticed."""
ALWAYS = [("x-content-type-options", "nosniff")]
"""Headers of every answer: a browser must not treat text from outside, in a problem or an output, as a page."""
BACKLOG = 2048
HURRY_S = 0.2
"""What a step of a stop gets at least, and connections after a second signal: enough for what is written already."""


class DoorServer(Server):
    """uvicorn's server, whose `connections` are counted from their accept on; it leaves the signals to us.

    With `tls` it accepts only TLS.
    """

    def __init__(self, config: Config, connections: Connections, tls: ServerTls | None = None) -> None:
        super().__init__(config)
        self.server_state.connections = _InOrder()  # type: ignore[assignment]
        self._connections = connections
        self._tls = tls
        self._acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        config = self.config
        config.load()

        def protocol(state: dict[str, Any]) -> asyncio.Protocol:
            return config.http_protocol_class(config=config, server_state=self.server_state, app_state=state)  # type: ignore[call-arg]

        # In place of what uvicorn does here, which counts a connection from its first request on and leaves it a minute
        # for its handshake.
        context = None if self._tls is None else self._tls.context
        self._acceptors = [Acceptor(listener, self._connections, protocol, context) for listener in sockets or []]
        for acceptor in self._acceptors:
            acceptor.start()
        self.servers = []
        self.started = True

    async def stop(self, sockets: list[socket.socket], seconds: float, hurry: asyncio.Future[None]) -> None:
        """Stop listening, close all connections properly, and cut off those that stay open after `seconds`.

        From when `hurry` is done they get HURRY_S, enough for what is written already.
        """
        for acceptor in self._acceptors:
            acceptor.close()
        for listener in sockets:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        hurried = False
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < end_s:
            if hurry.done() and not hurried:
                hurried = True
                end_s = min(end_s, loop.time() + HURRY_S)
            await asyncio.sleep(0.02)  # uvicorn's sets give no signal when they are empty
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _InOrder(dict[Any, None]):
    """The open connections in the order of their accept, in place of uvicorn's set.

    A set has the order of addresses in memory: connections would be closed in another order in each process.
    """

    def add(self, connection: Any) -> None:
        """Add `connection`."""
        self[connection] = None

    def discard(self, connection: Any) -> None:
        """Remove `connection` if it is there."""
        self.pop(connection, None)

    remove = discard


def uvicorn_config(settings: Settings, app: RequestFilter, incoming: Incoming, observer: Observer, log: Log) -> Config:
    """Return how uvicorn serves `app`; its messages go into `log`."""
    carry_standard_logging(log, "uvicorn", "asyncio")
    bounds = Bounds.of(settings, incoming, observer)
    return Config(
        app,
        http=BoundedHttp.with_bounds(bounds),
        ws=PeerSocket.with_bounds(bounds),
        ws_max_size=frame_bytes_max(settings),
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=ALWAYS,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.stop_s),
    )


def listen(settings: Settings) -> socket.socket:
    """Return the socket that listens where the settings say. Raises CannotStart or ConfigError."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotStart(f"no socket: {error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except socket.gaierror:
        listener.close()
        raise ConfigError(f"host = {settings.host!r} is not an address of this machine") from None
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise CannotStart(f"can't listen on {where}: {error.strerror}; choose another with --port") from None
    return listener


def url_of(listener: socket.socket, tls: ServerTls | None) -> str:
    """Return the URL at which that socket is reached."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
