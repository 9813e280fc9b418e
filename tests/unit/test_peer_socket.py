"""The WebSocket of an untrusted peer: what it sends and what it does not read are bounded."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.web.wire.allowance import FRAMES_A_TURN, STRANGERS_FRAMES_A_TURN, Bounds, Incoming
from voxpool.scheduler.web.wire.frame_socket import Received
from voxpool.scheduler.web.wire.peer_socket import PeerSocket
from voxpool.scheduler.web.wire.turn_queue import TurnQueue

MAX_BYTES = 10_000


class Wire:
    """A transport that keeps what is written; `stuck` means that the peer reads nothing."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.stuck = False
        self.unsent = 0
        self.reading = True
        self.aborted = self.eof = self.closing = False

    def write(self, data: bytes) -> None:
        self.written += data
        self.unsent += len(data) if self.stuck else 0

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Everything is written at once."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = self.closing = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name in ("sockname", "peername") else None


class Pair:
    """A PeerSocket and a client, connected in memory."""

    def __init__(self, wire: Wire, socket: PeerSocket, client: ClientProtocol) -> None:
        self.wire = wire
        self.socket = socket
        self.client = client

    def send(self, *messages: bytes) -> None:
        """Let the client send messages, which arrive in one piece."""
        for message in messages:
            self.client.send_binary(message)
        self.socket.data_received(b"".join(self.client.data_to_send()))

    def received(self) -> list[Any]:
        """Return the messages that the client has received since the last call."""
        self.socket.transport.flush()
        data, self.wire.written = bytes(self.wire.written), bytearray()
        self.client.receive_data(data)
        return self.client.events_received()

    def received_close(self) -> tuple[int, str]:
        """Return code and reason of the close that the client has received."""
        closed = self.client.close_rcvd
        assert closed is not None
        return closed.code, closed.reason


async def joined(
    aborts: list[str],
    send_buffer_bytes_max: int = 5_000,
    send_stall_s: float = 0.02,
    strangers: TurnQueue | None = None,
) -> Pair:
    """Open a connection whose application only accepts it."""
    ready = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        ready.set()
        await asyncio.Event().wait()

    bounds = dataclasses.replace(
        Bounds.of(Settings(), Incoming(10**9), Observer()),
        send_buffer_bytes_max=send_buffer_bytes_max,
        send_stall_s=send_stall_s,
        on_abort=lambda peer, reason: aborts.append(reason),
        strangers=strangers or TurnQueue(),
    )
    kind = PeerSocket.with_bounds(bounds)
    config = Config(app, ws=kind, ws_max_size=MAX_BYTES, log_config=None, ws_per_message_deflate=False)
    config.load()
    state = ServerState()
    socket, wire = kind(config, state, {}), Wire()
    socket.connection_made(wire)  # type: ignore[arg-type]
    client = ClientProtocol(parse_uri("ws://peer/"))
    client.send_request(client.connect())
    socket.data_received(b"".join(client.data_to_send()))
    await ready.wait()
    pair = Pair(wire, socket, client)
    pair.received()
    return pair


@pytest.fixture
def aborts() -> list[str]:
    """Return the reasons of closed connections."""
    return []


def counted(into: list[bytes]) -> Callable[[bytes, bool], bool]:
    """Return a handler that accepts everything."""

    def on_frame(data: bytes, binary: bool) -> bool:
        into.append(data)
        return True

    return on_frame


async def test_messages_are_handled_as_they_come(aborts: list[str]) -> None:
    pair = await joined(aborts)
    got: list[bytes] = []
    pair.socket.serve(counted(got))
    pair.send(b"one", b"two")
    assert got == [b"one", b"two"] and pair.wire.reading


async def test_a_deferred_message_and_all_later_ones_wait_in_order(aborts: list[str]) -> None:
    pair = await joined(aborts)
    got: list[bytes] = []
    pair.socket.serve(lambda data, binary: data != b"slow" and counted(got)(data, binary))
    pair.send(b"one", b"slow", b"three")
    assert (got, pair.wire.reading) == ([b"one"], False)
    assert await pair.socket.next_frame() == Received(b"slow", True)
    pair.socket.serve(counted(got))
    assert (got, pair.wire.reading) == ([b"one", b"three"], True)


@pytest.mark.parametrize("a_turn", [FRAMES_A_TURN, STRANGERS_FRAMES_A_TURN])
async def test_thousands_of_messages_at_once_do_not_block_others(aborts: list[str], a_turn: int) -> None:
    pair = await joined(aborts)
    if a_turn == FRAMES_A_TURN:
        pair.socket.now_known()
    got: list[bytes] = []
    pair.socket.serve(counted(got))
    pair.send(*(b"%d" % number for number in range(1_000)))
    turns = [len(got)]
    while turns[-1] < 1_000:
        assert not pair.wire.reading
        await asyncio.sleep(0)
        turns.append(len(got))
    assert turns == list(range(a_turn, 1_001, a_turn))
    assert got == [b"%d" % number for number in range(1_000)]
    await asyncio.sleep(0)
    assert pair.wire.reading


async def test_only_one_unknown_peer_is_parsed_in_an_iteration_of_the_loop(aborts: list[str]) -> None:
    """Known peers do not wait for unknown ones, and an unknown peer that leaves takes no turn."""
    strangers = TurnQueue()
    pairs = [await joined(aborts, strangers=strangers) for _ in range(5)]
    *unknown, known = pairs
    known.socket.now_known()
    got: list[bytes] = []
    for pair in pairs:
        pair.socket.serve(counted(got))
        pair.send(b"%d" % pairs.index(pair))
    assert got == [b"0", b"4"]
    assert [pair.wire.reading for pair in pairs] == [True, False, False, False, True]
    unknown[2].socket.connection_lost(None)
    seen = []
    while len(got) < 4:
        await asyncio.sleep(0)
        seen.append(len(got))
    assert got == [b"0", b"4", b"1", b"3"] and seen == [3, 4]
    assert unknown[3].wire.reading


async def test_messages_of_any_size_arrive(aborts: list[str]) -> None:
    pair = await joined(aborts, send_buffer_bytes_max=10**6)
    for size in (0, 125, 126, 65_535, 65_536, 200_000):
        pair.socket.send_frame(b"x" * size, binary=size % 2 == 0)
        (frame,) = pair.received()
        assert len(frame.data) == size
        assert frame.opcode is (Opcode.BINARY if size % 2 == 0 else Opcode.TEXT)


async def test_a_peer_with_a_full_send_buffer_is_closed(aborts: list[str]) -> None:
    pair = await joined(aborts)
    pair.wire.stuck = True
    for _ in range(4):
        pair.socket.send_frame(b"x" * 1_200, binary=True)
    assert aborts == []
    pair.socket.send_frame(b"x" * 1_200, binary=True)
    assert aborts == ["send_buffer_full"]


async def test_pongs_count_as_well_as_messages(aborts: list[str]) -> None:
    pair = await joined(aborts)
    pair.wire.stuck = True
    for _ in range(45):
        pair.client.send_ping(b"x" * 125)
    pair.socket.data_received(b"".join(pair.client.data_to_send()))
    for _ in range(45 // STRANGERS_FRAMES_A_TURN):
        await asyncio.sleep(0)
    assert aborts == ["send_buffer_full"]


async def test_a_waiting_pong_is_no_progress(aborts: list[str]) -> None:
    pair = await joined(aborts, send_stall_s=60)
    pair.wire.stuck = True
    pair.socket.send_frame(b"x" * 1_000, binary=True)
    pair.socket.pause_writing()
    pair.client.send_ping(b"x")
    pair.socket.data_received(b"".join(pair.client.data_to_send()))
    pair.socket.transport._check_stall()
    assert aborts == ["takes_nothing"]
    pair.socket.connection_lost(None)


@pytest.mark.parametrize("kind", ["ping", "pong", "part"])
async def test_tiny_frames_are_parsed_in_steps_and_too_many_close_the_connection(aborts: list[str], kind: str) -> None:
    pair = await joined(aborts, send_buffer_bytes_max=10**6)
    pair.client.send_binary(b"", fin=False)
    send = {"ping": pair.client.send_ping, "pong": pair.client.send_pong}.get(kind)
    for _ in range(5_000):
        if send is None:
            pair.client.send_continuation(b"", fin=False)
        else:
            send(b"")
    pair.socket.data_received(b"".join(pair.client.data_to_send()))
    assert (aborts, pair.wire.reading) == ([], False), "only a turn's worth was parsed"
    async with asyncio.timeout(5):
        while not aborts:  # noqa: ASYNC110
            await asyncio.sleep(0)
    pair.received()
    assert (aborts, pair.received_close()[0]) == (["closed_1008"], 1008)
    assert (pair.wire.eof, pair.wire.reading) == (True, True), "what still comes is dropped"
    pair.socket.connection_lost(None)


async def test_a_peer_that_reads_nothing_is_closed_and_a_slow_one_is_not(aborts: list[str]) -> None:
    pair = await joined(aborts, send_stall_s=60)
    pair.wire.stuck = True
    pair.socket.send_frame(b"x" * 4_000, binary=True)
    pair.socket.pause_writing()
    for _ in range(5):
        pair.wire.unsent -= 100  # slow, but it reads something between two checks
        pair.socket.transport._check_stall()
    assert aborts == []
    pair.socket.transport._check_stall()
    assert aborts == ["takes_nothing"]
    pair.socket.connection_lost(None)  # this also ends the timer


async def test_a_too_large_message_is_answered_and_its_rest_dropped(aborts: list[str]) -> None:
    """An immediate close would reset the connection before the peer has read the reason."""
    pair = await joined(aborts)
    got: list[bytes] = []
    pair.socket.serve(counted(got))
    pair.client.send_binary(b"x" * 10 * MAX_BYTES)
    whole = b"".join(pair.client.data_to_send())
    pair.socket.data_received(whole[:100])
    pair.received()
    assert pair.received_close()[0] == 1009
    assert (pair.wire.eof, pair.wire.closing, pair.wire.reading) == (True, False, True)
    pair.socket.data_received(whole[100:])
    assert got == [] and await pair.socket.next_frame() is None
    assert aborts == ["closed_1009"]


async def test_a_probe_is_answered_by_a_living_peer_only(aborts: list[str]) -> None:
    pair = await joined(aborts)
    asked = asyncio.create_task(pair.socket.answers(5))
    await asyncio.sleep(0)
    pair.received()
    pair.socket.data_received(b"".join(pair.client.data_to_send()))  # the pong
    assert await asked
    assert not await pair.socket.answers(0.01)


async def test_an_unanswered_close_is_aborted(aborts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxpool.scheduler.web.wire.peer_socket.CLOSE_TIMEOUT_S", 0.01)
    pair = await joined(aborts)
    pair.socket.close_with(1008, "音" * 100)
    pair.received()
    code, reason = pair.received_close()
    assert code == 1008 and set(reason) == {"音"}
    assert await pair.socket.next_frame() is None
    pair.socket.send_frame(b"too late", binary=True)
    assert pair.received() == []
    async with asyncio.timeout(5):
        while not pair.wire.aborted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_end_of_the_connection_is_reported(aborts: list[str]) -> None:
    pair = await joined(aborts)
    pair.socket.connection_lost(None)
    assert await pair.socket.next_frame() is None
    assert not pair.socket.peer_said_goodbye and not await pair.socket.answers(5)
