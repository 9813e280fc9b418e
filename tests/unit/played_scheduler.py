"""A scheduler that a test plays for the SDK: connections in memory that carry messages instead of frames."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from voxpool.scheduler.protocol.codec import Codec
from voxpool.scheduler.protocol.messages import Registered, Welcome
from voxpool.scheduler.sdk.wire.connection import Door

M = TypeVar("M")
GRACE_MS = 30_000


class PlayedConnection:
    """Replaces a Connection of the SDK. `sent` has the messages that the SDK has sent over it."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.is_closed = False
        self.round_trips = 0
        self.takes = asyncio.Event()
        """When cleared, sent messages wait, as behind a full buffer."""
        self.takes.set()
        self._error: Exception | None = None
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()

    def say(self, *messages: Any) -> None:
        """Send messages to the SDK."""
        for message in messages:
            self._incoming.put_nowait(message)

    def cut(self) -> None:
        """Break the connection; the SDK notices when it has read the earlier messages, or at its next message."""
        self._error = ConnectionResetError("cut")
        self._incoming.put_nowait(self._error)
        self.takes.set()

    def of_kind(self, kind: type[M]) -> list[M]:
        """Return the sent messages of that kind."""
        return [message for message in self.sent if isinstance(message, kind)]

    # ---- called by the SDK

    async def send(self, message: Any) -> None:
        await self.takes.wait()
        await asyncio.sleep(0)  # a message in between may overtake the next one
        if self._error is not None:
            raise self._error
        self.sent.append(message)

    async def receive(self) -> Any:
        message = await self._incoming.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def round_trip(self) -> None:
        if self._error is not None:
            raise self._error
        self.round_trips += 1

    async def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class PlayedScheduler:
    """Accepts the connections of the SDK, unless it `is_away`; `connections` has them, the latest last."""

    def __init__(self) -> None:
        self.connections: list[PlayedConnection] = []
        self.is_away = False
        self.tries: list[float] = []
        """The times of connection attempts, in seconds of the loop."""
        self.doors: list[Door] = []

    async def open(self, door: Door, codec: Codec[Any]) -> PlayedConnection:
        """Replaces Connection.open."""
        self.doors.append(door)
        self.tries.append(asyncio.get_running_loop().time())
        if self.is_away:
            raise ConnectionRefusedError("nobody there")
        connection = PlayedConnection()
        self.connections.append(connection)
        return connection

    @property
    def last(self) -> PlayedConnection:
        return self.connections[-1]

    async def connected(self, count: int) -> PlayedConnection:
        """Wait for connection number `count` and for its first message; return the connection."""
        while len(self.connections) < count or not self.connections[count - 1].sent:
            await settle()
        return self.connections[count - 1]


def welcome(generation: str = "g", **limits: int) -> Welcome:
    """Return the answer to hello."""
    return Welcome("s", {"session_grace_ms": GRACE_MS, **limits}, generation=generation)


def registered(heartbeat_ms: int = 5000, **fields: Any) -> Registered:
    """Return the answer to register."""
    return Registered("g", heartbeat_ms, 15_000, **fields)


async def settle() -> None:
    """Run everything that is due now."""
    await asyncio.sleep(0.001)
