"""uvicorn's HTTP protocol with bounds, on sockets with tiny kernel buffers."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from itertools import pairwise
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from tests.unit.test_peer_socket import Wire
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.web.wire.allowance import Bounds, Incoming
from voxpool.scheduler.web.wire.http_protocol import BoundedHttp

KERNEL_BYTES = 4096
ANSWER = b"y" * 60_000
"""More than two kernel buffers set to a small size hold, and less than the high-water mark of an event loop."""


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_the_unread_rest_of_an_answer_does_not_keep_a_connection(connection: str) -> None:
    """It is below the transport's high-water mark, and a close would wait for it for ever."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % len(ANSWER)), (b"connection", connection.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})

    loop = asyncio.get_running_loop()
    aborts: list[str] = []
    bounds = dataclasses.replace(
        Bounds.of(Settings(), Incoming(10**9), Observer()),
        send_stall_s=0.05,
        on_abort=lambda peer, reason: aborts.append(reason),
    )
    config = Config(app, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    kind: Any = BoundedHttp.with_bounds(bounds)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    server = await loop.create_server(lambda: kind(config=config, server_state=state, app_state={}), sock=listener)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        client.setblocking(False)
        await loop.sock_connect(client, listener.getsockname())
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            while not aborts or state.connections or state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert aborts == ["takes_nothing"]
    server.close()
    await server.wait_closed()


def connection(app: Any) -> tuple[Any, Wire]:
    """Return a connection that `app` answers, and its transport."""
    config = Config(app, log_config=None, lifespan="off")
    config.load()
    kind: Any = BoundedHttp.with_bounds(Bounds.of(Settings(), Incoming(10**9), Observer()))
    protocol, wire = kind(config=config, server_state=ServerState(), app_state={}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def test_chunks_are_parsed_in_steps() -> None:
    """The data of one read are parsed in parts, with turns for others in between; nothing is read meanwhile."""
    bodies: list[int] = []
    chunks, size = 2_000, 300

    async def app(scope: Any, receive: Any, send: Any) -> None:
        taken, more = 0, True
        while more:
            message = await receive()
            taken, more = taken + len(message["body"]), message["more_body"]
            bodies.append(taken)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    protocol, wire = connection(app)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % size + b"y" * size + b"\r\n"
    protocol.data_received(head + chunk * chunks + b"0\r\n\r\n")
    reading = [wire.reading]
    async with asyncio.timeout(10):
        while b"200 OK" not in wire.written:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert bodies[-1] == chunks * size
    assert max(after - before for before, after in pairwise([0, *bodies])) < 300 * size
    assert [*reading, wire.reading] == [False, True]
    protocol.connection_lost(None)


async def test_pipelined_requests_are_not_parsed_in_advance() -> None:
    """Thousands of pipelined requests would be as many objects; the next ones are parsed after the answers."""
    asked = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    protocol, wire = connection(app)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5_000)
    reading = [wire.reading]
    async with asyncio.timeout(30):
        while asked < 5_000:
            await asyncio.sleep(0)
            assert len(protocol.pipeline) < 300
    async with asyncio.timeout(10):
        while wire.written.count(b"200 OK") < 5_000:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [*reading, wire.reading] == [False, True]
    protocol.connection_lost(None)


@pytest.mark.parametrize("size", [0, 1, 4_000, 5_000, 7_000, 12_289, 50_000, 250_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_any_size_arrives_as_it_was_sent(size: int, chunked: bool) -> None:
    """Steps grow in the middle of a large body; an application does not notice where they end."""
    sent = (bytes(range(251)) * 1_000)[:size]
    came = bytearray()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            came.extend(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    protocol, wire = connection(app)
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    parts = [sent[at : at + 3_000] for at in range(0, size, 3_000)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n" if chunked else sent
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n" + body)
    async with asyncio.timeout(10):
        while b"HTTP/1.1" not in wire.written:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert (wire.written.startswith(b"HTTP/1.1 200"), bytes(came) == sent) == (True, True)
    protocol.connection_lost(None)
