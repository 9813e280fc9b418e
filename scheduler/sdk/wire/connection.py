"""The WebSocket of client and worker: its URL, and messages in place of frames."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from voxpool.scheduler.errors import BadInput, ConfigError
from voxpool.scheduler.protocol.codec import Codec, encode
from voxpool.scheduler.protocol.sending import SendingTransport
from voxpool.scheduler.sdk.errors import refusal_of_status
from voxpool.scheduler.sdk.wire.tls import tls_context

M = TypeVar("M")

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
PING_S = 15.0
"""Time between two pings, and for the answer to one."""
BROKEN = (WebSocketException, OSError, TimeoutError, BadInput)
"""The errors of a broken connection; a new one may work."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def door_url(url: str, path: str) -> str:
    """Return the WebSocket URL of a door of the scheduler at `url` (ws:// or http://). Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigError(f"{url!r} is not the URL of a scheduler; write ws://HOST:PORT or http://HOST:PORT")
    base = parts.path.rstrip("/")
    whole = base if base.endswith(path) else base + path
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, whole, parts.query, ""))


@dataclass(frozen=True, slots=True)
class Door:
    """Where to connect, and how.

    A peer that answers no ping for `ping_s`, or takes nothing of what is written for that time, counts as gone.
    """

    url: str
    tls: ssl.SSLContext | None
    ping_s: float

    @classmethod
    def of(cls, url: str, path: str, ca_file: str | Path | None, ping_s: float) -> Door:
        """Return the door at `path` of the scheduler at `url`. Raises ConfigError."""
        whole = door_url(url, path)
        return cls(whole, tls_context(ca_file) if whole.startswith("wss:") else None, ping_s)


class _StallingSocket(ClientConnection):
    """A WebSocket that writes once in a turn of the loop, and is aborted when its write buffer does not shrink.

    The pings of the library wait behind a full buffer, so they can't detect a peer that has stopped reading.
    """

    transport: SendingTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        inner = cast(asyncio.Transport, transport)
        super().connection_made(SendingTransport(inner, self.loop, lambda _: inner.abort(), PING_S))

    def pause_writing(self) -> None:
        """The buffer is full."""
        super().pause_writing()
        self.transport.watch_stall()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        self.transport.end_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.transport.end_stall()
        super().connection_lost(exc)


class Connection(Generic[M]):
    """One open WebSocket that carries messages; binary ones, in MessagePack."""

    def __init__(self, socket: _StallingSocket, codec: Codec[M]) -> None:
        self._socket = socket
        self._codec = codec

    @classmethod
    async def open(cls, door: Door, codec: Codec[M]) -> Connection[M]:
        """Connect. Raises one of BROKEN when that fails, Refused when it always would, ConfigError for a bad URL."""
        try:
            socket = await connect(
                door.url,
                ssl=door.tls,
                compression=None,
                max_size=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=door.ping_s,
                ping_timeout=door.ping_s,
                proxy=None,
                create_connection=_StallingSocket,
            )
        except InvalidURI as error:
            raise ConfigError(str(error)) from None
        except InvalidStatus as error:
            refused = refusal_of_status(error.response.status_code, f"{door.url} says {error}")
            if refused is not None:
                raise refused from None
            raise
        assert isinstance(socket, _StallingSocket)
        socket.transport.send_stall_s = door.ping_s
        return cls(socket, codec)

    async def send(self, message: msgspec.Struct) -> None:
        """Send `message`; waits while the other end takes nothing. Raises ConnectionClosed."""
        await self._socket.send(encode(message, binary=True))

    async def receive(self) -> M:
        """Return the next message. Raises ConnectionClosed, or BadInput for one that this version can't read."""
        frame = await self._socket.recv()
        if isinstance(frame, str):
            return self._codec.decode(frame.encode(), binary=False)
        return self._codec.decode(frame, binary=True)

    async def round_trip(self) -> None:
        """Return when the other end has taken all that was sent before."""
        await (await self._socket.ping())

    async def close(self) -> None:
        """Close; a peer that does not take the close frame within CLOSE_TIMEOUT_S is cut off."""
        # asyncio of 3.11 raises in abort() after close() with unsent data; the connection is closed in any case.
        with contextlib.suppress(AttributeError):
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._socket.close()
            except TimeoutError:  # the close frame waits behind a full buffer
                self.abort()

    def abort(self) -> None:
        """End the connection without a close frame."""
        self._socket.transport.abort()
