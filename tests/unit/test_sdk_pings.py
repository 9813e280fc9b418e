"""The SDK's end of a connection asks its peer by a ping when nothing comes from it, and gives up one that is silent."""

from __future__ import annotations

import asyncio

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from tests.unit.test_sdk_connection import Written, opened
from tests.unit.virtual import virtual
from voxpool.scheduler.sdk.wire.connection import CLOSE_TIMEOUT_S, GONE, PING_S, QUIET


def came(transport: Written, server: ServerProtocol) -> list[Opcode]:
    """Return what has come at the other end since the last call; it answers pings by itself."""
    sent, transport.written = bytes(transport.written), bytearray()
    server.receive_data(sent)
    return [event.opcode for event in server.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("kind", ["ping", "message"])
@virtual
async def test_a_peer_from_which_something_comes_is_not_pinged(kind: str) -> None:
    socket, transport, server = await opened(PING_S)
    opcodes: set[Opcode] = set()
    for _ in range(100):
        await asyncio.sleep(PING_S + 1)
        server.send_ping(b"?") if kind == "ping" else server.send_binary(b"message")
        socket.data_received(b"".join(server.data_to_send()))
        socket.take()
        await asyncio.sleep(0)
        opcodes.update(came(transport, server))
    assert opcodes == ({Opcode.PONG} if kind == "ping" else set())
    socket.connection_lost(None)


@pytest.mark.parametrize("answers", [True, False])
@virtual
async def test_a_silent_peer_is_pinged_and_given_up_after_twice_the_time_unless_it_answers(answers: bool) -> None:
    socket, transport, server = await opened(PING_S)
    began_s = asyncio.get_running_loop().time()
    await asyncio.sleep(QUIET * PING_S - 0.1)
    assert came(transport, server) == []
    await asyncio.sleep(0.2)
    assert came(transport, server) == [Opcode.PING]
    if answers:
        socket.data_received(b"".join(server.data_to_send()))
    await asyncio.sleep(began_s + GONE * PING_S - asyncio.get_running_loop().time() - 0.1)
    assert came(transport, server) == []
    await asyncio.sleep(0.2)
    assert came(transport, server) == ([] if answers else [Opcode.CLOSE])
    if answers:
        await asyncio.sleep(QUIET * PING_S)
        assert came(transport, server) == [Opcode.PING]
        socket.connection_lost(None)
    else:
        await asyncio.sleep(CLOSE_TIMEOUT_S + 10)
        assert transport.aborts, "it does not wait for the answer to its close"
        socket.connection_lost(None)
