"""Hostile peers of seven kinds at one scheduler, in a process of their own; none has a token.

`python -m tests.e2e.strangers PORT EACH` keeps EACH of each kind connected until its standard input ends, then prints
one line of JSON: how their connections ended, by kind. A closed peer reconnects after PAUSE_S. They send as fast as the
scheduler reads, with a pause of REST_S after each block, and at the lowest priority, so that the scheduler is measured
and not the load of the machine.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

PAUSE_S = 0.5
REST_S = 0.01
STEP_S = 0.1
"""Pause between two bytes of a slow peer, and between two checks of a silent one."""
BLOCK_BYTES = 64 * 1024
BODY_BYTES = 1_000_000
ASKS = 5_000
"""Requests whose answers are not read; each answer is about 50 kB."""
_CLOSE = re.compile(rb"\x88[\x02-\x7d](..)", re.DOTALL)
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


class Stranger:
    """One connection; `ending` is a close code, a status, or a mark for a plain close."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()
        self._tail = b""

    async def run(self, act: Callable[[Stranger], Awaitable[None]]) -> str:
        """Connect, `act` until the other end closes, and return how it was closed."""
        self._socket.setblocking(False)
        with self._socket, contextlib.suppress(OSError):
            await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
            await act(self)
        return self._ending()

    def _ending(self) -> str:
        closes, statuses = _CLOSE.findall(self._tail), _STATUS.findall(self._tail)
        if closes:
            return str(int.from_bytes(closes[-1], "big"))
        return statuses[-1].decode() if statuses and statuses[-1] != b"101" else "closed"

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError when the other end has closed."""
        await self._loop.sock_sendall(self._socket, data)

    async def read(self) -> None:
        """Read until the other end closes."""
        while data := await self._loop.sock_recv(self._socket, BLOCK_BYTES):
            self._tail = (self._tail + data)[-4096:]

    async def open(self) -> None:
        """Upgrade to a WebSocket."""
        key = base64.b64encode(os.urandom(16)).decode()
        words = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")
        await self.send(head("GET", "/ws/session", *words))
        while b"\r\n\r\n" not in self._tail:
            data = await self._loop.sock_recv(self._socket, BLOCK_BYTES)
            if not data:
                raise OSError("closed before its handshake")
            self._tail += data

    async def send_on(self, data: bytes, rest_s: float = REST_S) -> None:
        """Send `data` repeatedly and read the answers, until the other end closes."""
        reading = asyncio.create_task(self.read())
        try:
            with contextlib.suppress(OSError):
                while not reading.done():
                    await self.send(data)
                    await asyncio.sleep(rest_s)
            await reading
        finally:
            reading.cancel()

    async def send_unread(self, data: bytes) -> None:
        """Send `data` without reading; return when the other end has closed the connection."""
        sending = asyncio.create_task(self.send(data))
        try:
            while not sending.done() or not sending.exception():
                await asyncio.sleep(STEP_S)
                if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return
        finally:
            sending.cancel()


def head(method: str, path: str, *headers: str) -> bytes:
    """Return the head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def blocks(piece: bytes) -> bytes:
    """Return a block full of `piece`."""
    return piece * (BLOCK_BYTES // len(piece))


async def tiny_frames(stranger: Stranger) -> None:
    """Send empty pongs."""
    await stranger.open()
    await stranger.send_on(blocks(b"\x8a\x80\0\0\0\0"))


async def pings(stranger: Stranger) -> None:
    """Send pings, each of which requires a pong."""
    await stranger.open()
    await stranger.send_on(blocks(b"\x89\xfd\0\0\0\0" + bytes(125)))


async def chunks(stranger: Stranger) -> None:
    """Send a body in chunks of one byte."""
    await stranger.send(head("POST", "/v1/jobs?pair=a:b", "Transfer-Encoding: chunked"))
    await stranger.send_on(blocks(b"1\r\ny\r\n"))


async def slow_heads(stranger: Stranger) -> None:
    """Send a head that never ends."""
    await stranger.send(b"GET /healthz HTTP/1.1\r\n")
    await stranger.send_on(b"x", STEP_S)


async def silent(stranger: Stranger) -> None:
    """Send nothing."""
    await stranger.read()


async def bodies(stranger: Stranger) -> None:
    """Send bodies without their last tenth."""
    await stranger.send(head("POST", "/v1/jobs?pair=a:b", f"Content-Length: {BODY_BYTES}"))
    with contextlib.suppress(OSError):
        await stranger.send(bytes(BODY_BYTES * 9 // 10))
    await stranger.read()


async def unread(stranger: Stranger) -> None:
    """Request answers and do not read them."""
    await stranger.send_unread(head("GET", "/openapi.json") * ASKS)


KINDS: dict[str, Callable[[Stranger], Awaitable[None]]] = {
    "tiny frames": tiny_frames,
    "chunks": chunks,
    "slow heads": slow_heads,
    "silent": silent,
    "pings": pings,
    "90 % bodies": bodies,
    "unread answers": unread,
}


async def crowd(port: int, each: int) -> dict[str, Counter[str]]:
    """Run `each` peers of each kind until standard input ends; return how their connections ended."""
    endings: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}

    async def again_and_again(kind: str) -> None:
        while True:
            endings[kind][await Stranger(port).run(KINDS[kind])] += 1
            await asyncio.sleep(PAUSE_S)

    tasks = [asyncio.create_task(again_and_again(kind)) for kind in KINDS for _ in range(each)]
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    await ended.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return endings


if __name__ == "__main__":
    os.nice(19)
    sys.stdout.write(json.dumps(asyncio.run(crowd(int(sys.argv[1]), int(sys.argv[2])))) + "\n")
