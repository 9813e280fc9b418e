"""Peers that read nothing, answer no ping or send no hello: closed, counted, and informed when they reconnect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import running
from tests.e2e.counted import cut_off
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_bad_input_nodes import register
from tests.e2e.test_processes import started
from voxpool.scheduler.config import Settings
from voxpool.scheduler.sdk import Worker
from voxpool.scheduler.web.wire.server import SEND_BUFFER_BYTES, listen

OUTPUT = "y" * 900_000
JOBS = 12
QUICK = ("--greeting-s", "1.5", "--send-stall-s", "1")
PINGED = ("--heartbeat-s", "0.5", "--lease-s", "1")
"""Long enough that a good peer, which is this process, is not closed when it has no CPU for a moment."""
HELLO = {"type": "hello", "session_id": "hangs"}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with a long ping interval, so that the observed closes do not come from pings."""
    with started(Scheduler(tmp_path_factory.mktemp("calm"), "memory", *QUICK)) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def pinging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler that closes a peer whose ping was not answered for 1.5 s."""
    with started(Scheduler(tmp_path_factory.mktemp("pinging"), "memory", *QUICK, *PINGED)) as scheduler:
        yield scheduler


async def greeted(socket: ClientConnection, greeting: dict[str, Any]) -> dict[str, Any]:
    """Send the greeting, and return the answer."""
    await socket.send(text(**greeting))
    answer: dict[str, Any] = json.loads(await socket.recv())
    assert answer["type"] in ("welcome", "registered"), answer
    return answer


@contextlib.asynccontextmanager
async def deaf(url: str, greeting: dict[str, Any]) -> AsyncIterator[ClientConnection]:
    """A peer that sends its greeting and then reads nothing: no message, no ping."""
    async with connected(url, max_queue=1, close_timeout=0.1, ping_interval=None) as socket:
        assert (await greeted(socket, greeting)).get("cut_off") is None
        socket.transport.pause_reading()
        yield socket


async def reported_once(url: str, greeting: dict[str, Any]) -> str | None:
    """Return the report of the last connection in the next greeting; the greeting after it must have none."""
    async with connected(url) as socket:
        reported: str | None = (await greeted(socket, greeting)).get("cut_off")
    async with connected(url) as socket:
        assert (await greeted(socket, greeting)).get("cut_off") is None
    return reported


async def test_a_client_that_reads_nothing_is_closed_and_informed_on_reconnect(calm: Scheduler) -> None:
    worker = Worker(calm.url, node_id="quick", pairs=["a:b"], slots=4, work=lambda work: OUTPUT)
    async with running(worker), deaf(calm.session_url, HELLO) as socket, cut_off(calm, takes_nothing=1):
        for number in range(JOBS):
            await socket.send(text(type="submit", request_id=f"r{number}", pair="a:b", audio=TONE))
    assert await reported_once(calm.session_url, HELLO) == "takes_nothing"


async def test_a_client_with_a_full_send_buffer_is_closed_at_once(folder: Path) -> None:
    """It may even read a little: more than the bound is never buffered for one peer."""
    flags = ("--send-buffer-bytes-max", "3000000", "--audio-bytes-max", "1000000", "--send-stall-s", "60")
    with started(Scheduler(folder, "memory", *flags)) as scheduler:
        worker = Worker(scheduler.url, node_id="quick", pairs=["a:b"], slots=4, work=lambda work: OUTPUT)
        async with (
            running(worker),
            deaf(scheduler.session_url, HELLO) as socket,
            cut_off(scheduler, send_buffer_full=1),
        ):
            for number in range(JOBS):
                await socket.send(text(type="submit", request_id=f"r{number}", pair="a:b", audio=TONE))
        assert await reported_once(scheduler.session_url, HELLO) == "send_buffer_full"


async def test_a_node_that_reads_nothing_is_informed_on_reconnect(calm: Scheduler) -> None:
    node = register("b:a", slots=40)
    async with connected(calm.session_url) as client:
        await greeted(client, {"type": "hello"})
        async with deaf(calm.node_url, node), cut_off(calm, takes_nothing=1):
            for number in range(JOBS):
                audio = TONE + b"\x00" * 900_000
                await client.send(text(type="submit", request_id=f"n{number}", pair="b:a", audio=audio))
    assert await reported_once(calm.node_url, node) == "takes_nothing"


async def beats(socket: ClientConnection) -> None:
    """Send heartbeats until the connection ends."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.send(text(type="heartbeat", running=[]))
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", ["client", "node", "node that beats"])
async def test_a_peer_that_answers_no_ping_is_closed(pinging: Scheduler, kind: str) -> None:
    """The connection is half open: the machine or the network has failed, and a client has no lease. Or the peer has
    stopped reading, and goes on to send.
    """
    url, greeting = (pinging.session_url, HELLO) if kind == "client" else (pinging.node_url, register("a:b"))
    before = len(pinging.events("peer_aborted"))
    async with cut_off(pinging, no_pong=1), deaf(url, greeting) as half, connected(pinging.session_url) as answering:
        beating = asyncio.create_task(beats(half)) if kind == "node that beats" else None
        await greeted(answering, {"type": "hello"})
        await until(lambda: len(pinging.events("peer_aborted")) > before)
        if beating is not None:
            beating.cancel()
        await (await answering.ping())  # a peer that answers is not closed
    assert await reported_once(url, greeting) == "no_pong"


@pytest.mark.parametrize("door", ["/ws/session", "/ws/node"])
async def test_a_peer_without_a_greeting_is_closed(calm: Scheduler, door: str) -> None:
    async with connected(calm.url.replace("http", "ws") + door) as silent, cut_off(calm, no_greeting=1):
        await silent.wait_closed()


def test_the_kernel_send_buffer_of_a_peer_is_bounded() -> None:
    """By default the kernel buffers 4 MB for each peer before anybody notices that nothing is read."""
    listener = listen(Settings(port=0))
    with listener, sockets.create_connection(listener.getsockname()) as client:
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            kept = accepted.getsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF)
            assert kept in (SEND_BUFFER_BYTES, 2 * SEND_BUFFER_BYTES), "Linux tells twice what was asked for"
            assert client.getsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF) != kept, "it is no default"
