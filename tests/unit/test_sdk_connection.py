"""The connection of the SDK: its handshake, its counts, and when it gives up a peer that reads nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tests.unit.virtual import virtual
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.codec import encode, to_client
from voxpool.scheduler.protocol.framing import masked_frame
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


class Written(FullTransport):
    """A transport whose peer reads everything."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing


async def opened(ping_s: float | None = None) -> tuple[_StallingSocket, Written, ServerProtocol]:
    """Return an open socket, what it writes, and the other end."""
    socket, transport = _StallingSocket(ClientProtocol(parse_uri("ws://h/")), ping_interval=ping_s), Written()
    socket.connection_made(transport)
    hands = asyncio.ensure_future(socket.handshake())
    await asyncio.sleep(0.01)
    server = ServerProtocol()
    server.receive_data(bytes(transport.written))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    socket.data_received(b"".join(server.data_to_send()))
    await hands
    if ping_s is not None:
        socket.start_keepalive()
    transport.written.clear()
    return socket, transport, server


@pytest.mark.parametrize("piece", [10**6, 1000, 7, 3, 1])
@virtual
async def test_messages_come_in_order_in_any_pieces_and_with_any_other_frames_between(piece: int) -> None:
    socket, _, server = await opened()
    connection = Connection(socket, to_client)
    messages = [Accepted(f"r-{number}", "j" * number) for number in (1, 100, 200, 3, 66_000, 4, 5, 6)]
    for number, message in enumerate(messages):
        data = encode(message, binary=True)
        if number == 2:
            server.send_ping(b"?")
        if number == 3:
            server.send_binary(data[:5], fin=False)
            server.send_pong(b"")
            server.send_continuation(data[5:], fin=True)
        elif number == 5:
            server.send_text(encode(message, binary=False))
        else:
            server.send_binary(data)
    sent = b"".join(server.data_to_send())
    for at in range(0, len(sent), piece):
        socket.data_received(sent[at : at + piece])
    assert [await connection.receive() for _ in messages] == messages
    server.send_close(4000, "enough")
    socket.data_received(b"".join(server.data_to_send()))
    socket.connection_lost(None)
    with pytest.raises(ConnectionClosed, match="4000"):
        await connection.receive()


@virtual
async def test_a_masked_frame_of_a_server_closes_the_connection() -> None:
    socket, _, _ = await opened()
    socket.data_received(masked_frame(b"x"))
    assert socket.protocol.close_sent is not None and socket.protocol.close_sent.code == 1002


@virtual
async def test_messages_are_sent_masked_in_one_write_and_none_after_the_end() -> None:
    socket, transport, server = await opened()
    connection = Connection(socket, to_client)
    sizes = (0, 0, 125, 126, 65_535, 65_536)
    for size in sizes:
        await socket.send_message(b"x" * size)
        assert not transport.written or size > 1000
    await asyncio.sleep(0.01)
    masks = {bytes(transport.written[at : at + 4]) for at in (2, 8)}
    assert len(masks) == 2, "each frame has a mask of its own"
    server.receive_data(bytes(transport.written))
    assert [bytes(event.data) for event in server.events_received() if isinstance(event, Frame)] == [
        b"x" * size for size in sizes
    ]
    transport.closing = True
    socket.connection_lost(None)
    with pytest.raises(ConnectionClosed):
        await connection.send(Accepted("r", "j"))


@virtual
async def test_a_message_waits_while_the_other_end_takes_nothing() -> None:
    socket, _, _ = await opened()
    socket.pause_writing()
    sending = asyncio.ensure_future(socket.send_message(b"x"))
    await asyncio.sleep(1)
    assert not sending.done()
    socket.resume_writing()
    await sending


class Frames:
    """A socket that sends and receives frames."""

    def __init__(self, *coming: bytes | str) -> None:
        self.sent: list[bytes] = []
        self.pings = 0
        self.closes = 0
        self.transport = FullTransport()
        self._coming = list(coming)

    async def send_message(self, frame: bytes) -> None:
        self.sent.append(frame)

    def take(self) -> None:
        """Nothing is there yet."""

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
