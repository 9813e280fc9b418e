"""The HTTP server behind the doors: uvicorn with bounds on every connection, and its listening socket.

It knows sockets and settings; what is answered is the application's business, when to stop that of serve.py.
"""

from __future__ import annotations

import asyncio
import math
import socket

from uvicorn import Config, Server

from scheduler.config import Settings
from scheduler.ending import HURRY_S
from scheduler.errors import CannotStart, ConfigError
from scheduler.seams import Observer
from scheduler.security.tls import ServerTls
from scheduler.telemetry.logs import Log, carry_standard_logging
from scheduler.web.app import frame_bytes_max
from scheduler.web.entrance import Entrance
from scheduler.web.http_protocol import BoundedHttp, HttpLimits
from scheduler.web.incoming import Incoming
from scheduler.web.pace import Pace
from scheduler.web.peer_socket import PeerSocket, SocketLimits

SEND_BUFFER_BYTES = 512 * 1024
"""The kernel's part of what waits to be sent to a peer; left to itself it takes 4 MB before anybody notices."""
DROPPED_BYTES_MAX = 256 * 1024**2
"""What is read, and dropped, of a request that was refused, so that its client gets to read why."""
ALWAYS = [("x-content-type-options", "nosniff")]
"""Headers of every answer: no browser shall take text from outside, in a problem or an output, for a page."""
BACKLOG = 2048
HANDSHAKE_S = 10.0
"""Time for the handshake of TLS; until then a connection is in no table."""


class DoorServer(Server):
    """uvicorn's server for the application whose entrance is `app`; it leaves the signals to us.

    With `tls` it speaks nothing but TLS.
    """

    def __init__(self, config: Config, app: Entrance, tls: ServerTls | None = None) -> None:
        super().__init__(config)
        app.connections = self.server_state.connections
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        config = self.config
        config.load()

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(config=config, server_state=self.server_state, app_state={})  # type: ignore[call-arg]

        # What uvicorn does here, but that it leaves a connection a minute for its handshake, which nobody counts.
        tls, loop = self._tls, asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                protocol,
                sock=listener,
                backlog=BACKLOG,
                ssl=None if tls is None else tls.context,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            )
            for listener in sockets or []
        ]
        self.started = True

    async def stop(self, sockets: list[socket.socket], seconds: float, hurry: asyncio.Future[None]) -> None:
        """Stop listening, close all connections in good order, and cut off those that stay open after `seconds`.

        From when `hurry` is done they get HURRY_S, enough for what is written already.
        """
        for server in self.servers:
            server.close()
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
            await asyncio.sleep(0.02)  # uvicorn's sets tell nobody that they are empty
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def uvicorn_config(settings: Settings, app: Entrance, incoming: Incoming, observer: Observer, log: Log) -> Config:
    """Return how uvicorn serves `app`; what it has to say goes into `log`."""
    carry_standard_logging(log, "uvicorn", "asyncio")
    pace = Pace(settings.body_stall_s, settings.body_bytes_per_s_min)
    limits = SocketLimits(settings.send_buffer_bytes_max, settings.send_stall_s, pace, incoming, observer.peer_aborted)
    frame_bytes = frame_bytes_max(settings)
    http_limits = HttpLimits(
        head_bytes_max=settings.head_bytes_max,
        headers_max=settings.headers_max,
        head_s=settings.head_s,
        pace=pace,
        request_bytes_max=max(16 * frame_bytes, DROPPED_BYTES_MAX),
        send_stall_s=settings.send_stall_s,
        on_abort=observer.peer_aborted,
    )
    return Config(
        app,
        http=BoundedHttp.with_limits(http_limits),
        ws=PeerSocket.with_limits(limits),
        ws_max_size=frame_bytes,
        ws_ping_interval=settings.heartbeat_s,
        ws_ping_timeout=settings.lease_s + settings.heartbeat_s,  # a silent node: its lease tells first
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
