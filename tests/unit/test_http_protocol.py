"""uvicorn's HTTP protocol with bounds, on sockets whose kernel keeps next to nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from scheduler.web.http_protocol import BoundedHttp, HttpLimits
from scheduler.web.pace import Pace

KERNEL_BYTES = 4096
ANSWER = b"y" * 60_000
"""More than two kernels take that were told to keep little, and less than what an event loop calls much."""


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_a_rest_of_an_answer_that_nobody_takes_keeps_no_connection(connection: str) -> None:
    """It is below what the transport tells of by itself, and its close would wait for it for ever."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % len(ANSWER)), (b"connection", connection.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})

    loop = asyncio.get_running_loop()
    aborts: list[str] = []
    limits = HttpLimits(
        head_bytes_max=1024,
        headers_max=10,
        head_s=60.0,
        pace=Pace(60.0, 1),
        request_bytes_max=10_000,
        send_stall_s=0.05,
        on_abort=lambda peer, reason: aborts.append(reason),
    )
    config = Config(app, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    kind: Any = BoundedHttp.with_limits(limits)
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
