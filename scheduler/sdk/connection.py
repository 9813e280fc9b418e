"""What both ends of the SDK need of a WebSocket: its URL, and messages instead of frames."""

from __future__ import annotations

import contextlib
from typing import Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI

from scheduler.codec import Codec, encode
from scheduler.errors import ConfigError

M = TypeVar("M")

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def door_url(url: str, path: str) -> str:
    """Return the WebSocket URL of a door of the scheduler at `url` (ws:// or http://). Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigError(f"{url!r} is not the URL of a scheduler; write ws://HOST:PORT or http://HOST:PORT")
    base = parts.path.rstrip("/")
    whole = base if base.endswith(path) else base + path
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, whole, parts.query, ""))


class Connection(Generic[M]):
    """One open WebSocket that carries messages; binary ones, in MessagePack."""

    def __init__(self, socket: ClientConnection, codec: Codec[M]) -> None:
        self._socket = socket
        self._codec = codec

    @classmethod
    async def open(cls, url: str, codec: Codec[M]) -> Connection[M]:
        """Connect. Raises OSError, TimeoutError or websockets' exceptions when that fails."""
        try:
            socket = await connect(
                url,
                compression=None,
                max_size=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                proxy=None,
            )
        except InvalidURI as error:
            raise ConfigError(str(error)) from None
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
        """Say goodbye."""
        # asyncio of 3.11 trips over abort() after close() with data unsent; the connection is gone all the same.
        with contextlib.suppress(AttributeError):
            await self._socket.close()
