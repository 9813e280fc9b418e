"""The connection of the SDK: its handshake, its counts, and when it gives up a peer that reads nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.uri import parse_uri

from tests.unit.virtual import virtual
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.codec import encode, to_client
from voxpool.scheduler.protocol.messages import Accepted
from voxpool.scheduler.sdk.errors import TokenRefused
from voxpool.scheduler.sdk.wire.connection import (
    BROKEN,
    CLOSE_TIMEOUT_S,
    OPEN_TIMEOUT_S,
    Connection,
    Door,
    _StallingSocket,
    door_url,
)

STALL_S = 5.0


class FullTransport(asyncio.Transport):
    """A transport whose buffer has `size` bytes that the peer has not read."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.aborts: list[float] = []

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The test decides when the buffer is full."""

    def get_write_buffer_size(self) -> int:
        return self.size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.size += len(data)

    def abort(self) -> None:
        self.aborts.append(asyncio.get_running_loop().time())

    def is_closing(self) -> bool:
        return False


def stalling() -> tuple[_StallingSocket, FullTransport]:
    """Return a socket with 1,000 bytes in its buffer."""
    socket, transport = _StallingSocket(ClientProtocol(parse_uri("ws://h/")), ping_interval=None), FullTransport()
    socket.connection_made(transport)
    socket.transport.send_stall_s = STALL_S
    socket.transport.write(bytes(1000))
    socket.transport.flush()
    return socket, transport


@virtual
async def test_a_peer_that_does_not_read_a_full_buffer_is_given_up() -> None:
    socket, transport = stalling()
    socket.pause_writing()
    await asyncio.sleep(STALL_S - 0.1)
    assert transport.aborts == []
    socket.transport.write(bytes(500))
    await asyncio.sleep(0.2)
    assert transport.aborts == [STALL_S], "what was written meanwhile is nothing that the peer has taken"


@virtual
async def test_a_slow_peer_is_not_given_up_until_it_stops() -> None:
    socket, transport = stalling()
    socket.pause_writing()
    await asyncio.sleep(STALL_S / 2)
    for _ in range(3):
        transport.size -= 1
        await asyncio.sleep(STALL_S)
    assert transport.aborts == []
    await asyncio.sleep(STALL_S)
    assert transport.aborts == [4 * STALL_S]


@pytest.mark.parametrize("end", ["resumed", "lost"])
@virtual
async def test_a_buffer_that_is_free_again_is_not_watched(end: str) -> None:
    socket, transport = stalling()
    socket.pause_writing()
    await asyncio.sleep(STALL_S / 2)
    if end == "resumed":
        socket.resume_writing()
    else:
        socket.connection_lost(None)
    await asyncio.sleep(10 * STALL_S)
    assert transport.aborts == []
    if end == "resumed":
        socket.pause_writing()
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(2 * STALL_S)
        assert transport.aborts == [began + STALL_S]


class Frames:
    """A socket that sends and receives frames."""

    def __init__(self, *coming: bytes | str) -> None:
        self.sent: list[bytes] = []
        self.pings = 0
        self.closes = 0
        self.transport = FullTransport()
        self._coming = list(coming)

    async def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    async def recv(self) -> bytes | str:
        return self._coming.pop(0)

    async def ping(self) -> asyncio.Future[None]:
        self.pings += 1
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, pong.set_result, None)
        return pong

    async def close(self) -> None:
        self.closes += 1
        await asyncio.sleep(1.0 if self.closes == 1 else 60.0)


def connection_of(frames: Any) -> Connection[Any]:
    return Connection(frames, to_client)


@virtual
async def test_messages_come_in_either_coding() -> None:
    message = Accepted("r", "j")
    frames = Frames(encode(message, binary=True), encode(message, binary=False).decode())
    connection = connection_of(frames)
    assert (await connection.receive(), await connection.receive()) == (message, message)


@virtual
async def test_a_round_trip_waits_for_the_answer_and_a_close_at_most_two_seconds() -> None:
    loop, frames = asyncio.get_running_loop(), Frames()
    connection = connection_of(frames)
    await connection.round_trip()
    assert (loop.time(), frames.pings) == (1, 1)
    await connection.close()
    assert (loop.time(), frames.transport.aborts) == (2, [])
    await connection.close()
    assert frames.transport.aborts == [4]


@virtual
async def test_how_a_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no proxy, no compression, no limit of messages; pings follow the interval of the endpoint."""
    made: list[tuple[str, dict[str, Any]]] = []
    socket, _ = stalling()

    async def connect(url: str, **options: Any) -> _StallingSocket:
        made.append((url, options))
        return socket

    monkeypatch.setattr(f"{Connection.__module__}.connect", connect)
    opened = await Connection.open(Door("ws://h/ws/node", None, 7.0), to_client)
    assert opened._socket is socket and socket.transport.send_stall_s == 7.0
    assert made == [
        (
            "ws://h/ws/node",
            {
                "ssl": None,
                "compression": None,
                "max_size": None,
                "proxy": None,
                "open_timeout": OPEN_TIMEOUT_S,
                "close_timeout": CLOSE_TIMEOUT_S,
                "ping_interval": 7.0,
                "ping_timeout": 7.0,
                "create_connection": _StallingSocket,
            },
        )
    ]


@pytest.mark.parametrize(("status", "error"), [(401, TokenRefused), (403, TokenRefused), (503, InvalidStatus)])
@virtual
async def test_an_answer_instead_of_a_connection(
    monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    """A final rejection is final; any other is a broken connection."""

    async def connect(url: str, **options: Any) -> None:
        raise InvalidStatus(Response(status, "No", Headers()))

    monkeypatch.setattr(f"{Connection.__module__}.connect", connect)
    with pytest.raises(error, match=str(status)):
        await Connection.open(Door("ws://h/ws/node", None, 7.0), to_client)
    assert error is TokenRefused or issubclass(error, BROKEN)


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("ws://h:5010", "ws://h:5010/ws/node"),
        ("http://h", "ws://h/ws/node"),
        ("https://h/base/", "wss://h/base/ws/node"),
        ("https://h/X/", "wss://h/X/ws/node"),
        ("wss://h/ws/node", "wss://h/ws/node"),
        ("ws://h/?a=b", "ws://h/ws/node?a=b"),
    ],
)
def test_a_url_names_the_endpoint(url: str, whole: str) -> None:
    assert door_url(url, "/ws/node") == whole
    door = Door.of(url, "/ws/node", None, 7.0)
    assert (door.url, door.ping_s, door.tls is not None) == (whole, 7.0, whole.startswith("wss:"))


@pytest.mark.parametrize("url", ["ftp://h", "ws://", "h:5010", ""])
def test_an_invalid_url_is_an_error_that_names_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is not the URL of a scheduler; write ws://HOST:PORT or http://HOST:PORT"):
        door_url(url, "/ws/node")
