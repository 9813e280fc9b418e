"""The WebSocket of client and worker: its URL, and messages in place of frames."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN

from voxpool.scheduler.errors import BadInput, ConfigError
from voxpool.scheduler.protocol.codec import Codec, encode
from voxpool.scheduler.protocol.framing import (
    BINARY,
    PING,
    PONG,
    FrameReader,
    SendingTransport,
    masked_frame,
    whole_frame,
)
from voxpool.scheduler.sdk.errors import refusal_of_status
from voxpool.scheduler.sdk.wire.tls import tls_context

M = TypeVar("M")

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
PING_S = 15.0
"""The other end is gone when nothing has come from it for twice this time."""
QUIET, GONE = 1.25, 2.0
"""In times of it: when the other end is asked by a ping, and when it is gone. A scheduler pings every 15 s by default,
which comes before it is asked.
"""
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

    A peer counts as gone when nothing comes from it for twice `ping_s`, not even the answer to a ping, or when it takes
    nothing of what is written for `ping_s`.
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

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._reader = protocol.reader = FrameReader()
        protocol.parser = protocol.parse()  # the first one is bound to the reader that was replaced
        next(protocol.parser)
        self._heard_s = 0.0
        """When something has come last."""

    def data_received(self, data: bytes) -> None:
        """Take messages, pings and pongs that came in one whole frame each; the library parses all else."""
        self._heard_s = self.loop.time()
        protocol, at = self.protocol, 0
        if protocol.state is OPEN and protocol.current_size is None and self._reader.is_between_frames:
            while (frame := whole_frame(data, at, False, sys.maxsize)) is not None:
                message, first, at = frame
                if first < PING:
                    self.recv_messages.put(Frame(Opcode.BINARY if first == BINARY else Opcode.TEXT, message))
                elif first == PONG:
                    self.acknowledge_pings(message)
                else:
                    self.transport.write(masked_frame(message, PONG))
            if at == len(data):
                return
        super().data_received(data[at:] if at else data)

    def take(self) -> bytes | None:
        """Return the next message, if it is there, is binary, and came in one frame."""
        waiting = self.recv_messages.frames.queue
        if not waiting or not waiting[0].fin or waiting[0].opcode is not Opcode.BINARY:
            return None
        data = waiting.popleft().data
        self.recv_messages.maybe_resume()
        return bytes(data)

    async def send_message(self, data: bytes) -> None:
        """Send a message in one frame; waits while the other end takes nothing. Raises ConnectionClosed."""
        if self.protocol.state is not OPEN or self.transport.is_closing():
            await self.send(data)  # it waits for the end of the connection, and raises
            return
        self.transport.write(masked_frame(data))
        if self.paused:
            await self.drain()

    async def keepalive(self) -> None:
        """Ask the other end by a ping when nothing has come from it; close when nothing comes then."""
        assert self.ping_interval is not None
        while True:
            left_s = self._heard_s + QUIET * self.ping_interval - self.loop.time()
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            heard_s = self._heard_s
            await self.ping()
            await asyncio.sleep((GONE - QUIET) * self.ping_interval)
            if self._heard_s == heard_s:
                async with self.send_context():
                    self.protocol.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")

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
        await self._socket.send_message(encode(message, binary=True))

    async def receive(self) -> M:
        """Return the next message. Raises ConnectionClosed, or BadInput for one that this version can't read."""
        message = self._socket.take()
        if message is not None:
            return self._codec.decode(message, binary=True)
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
