"""Peers that take nothing, answer no ping or never say who they are: cut off, counted, and told when they come back."""

from __future__ import annotations

import contextlib
import json
import socket as sockets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

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
"""Not so quick that a good peer, which is this process, is cut off while it has no CPU for a moment."""
HELLO = {"type": "hello", "session_id": "hangs"}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler whose pings are far apart: what is seen does not come from them."""
    with started(Scheduler(tmp_path_factory.mktemp("calm"), "memory", *QUICK)) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def pinging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler that takes a peer for gone when its ping was not answered for 1.5 s."""
    with started(Scheduler(tmp_path_factory.mktemp("pinging"), "memory", *QUICK, *PINGED)) as scheduler:
        yield scheduler


async def greeted(socket: ClientConnection, greeting: dict[str, Any]) -> dict[str, Any]:
    """Greet, and return what the door answers."""
    await socket.send(text(**greeting))
    answer: dict[str, Any] = json.loads(await socket.recv())
    assert answer["type"] in ("welcome", "registered"), answer
    return answer


@contextlib.asynccontextmanager
async def deaf(url: str, greeting: dict[str, Any]) -> AsyncIterator[ClientConnection]:
    """A peer that greets and from then on reads nothing: no message, no ping."""
    async with connected(url, max_queue=1, close_timeout=0.1, ping_interval=None) as socket:
        assert (await greeted(socket, greeting)).get("cut_off") is None
        socket.transport.pause_reading()
        yield socket


async def told_once(url: str, greeting: dict[str, Any]) -> str | None:
    """What the next greeting is told of the last connection; the one after it is told nothing."""
    async with connected(url) as socket:
        told: str | None = (await greeted(socket, greeting)).get("cut_off")
    async with connected(url) as socket:
        assert (await greeted(socket, greeting)).get("cut_off") is None
    return told


async def test_a_client_that_takes_nothing_is_cut_off_and_told_when_it_comes_back(calm: Scheduler) -> None:
    worker = Worker(calm.url, node_id="quick", pairs=["a:b"], slots=4, work=lambda work: OUTPUT)
    async with running(worker), deaf(calm.session_url, HELLO) as socket, cut_off(calm, takes_nothing=1):
        for number in range(JOBS):
            await socket.send(text(type="submit", request_id=f"r{number}", pair="a:b", audio=TONE))
    assert await told_once(calm.session_url, HELLO) == "takes_nothing"


async def test_a_client_that_is_owed_too_much_is_cut_off_at_once(folder: Path) -> None:
    """It may even take something: more than the bound is never kept for one peer."""
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
        assert await told_once(scheduler.session_url, HELLO) == "send_buffer_full"


async def test_a_node_that_takes_nothing_is_told_when_it_comes_back(calm: Scheduler) -> None:
    node = register("b:a", slots=40)
    async with connected(calm.session_url) as client:
        await greeted(client, {"type": "hello"})
        async with deaf(calm.node_url, node), cut_off(calm, takes_nothing=1):
            for number in range(JOBS):
                audio = TONE + b"\x00" * 900_000
                await client.send(text(type="submit", request_id=f"n{number}", pair="b:a", audio=audio))
    assert await told_once(calm.node_url, node) == "takes_nothing"


@pytest.mark.parametrize("kind", ["client", "node"])
async def test_a_peer_that_answers_no_ping_is_cut_off(pinging: Scheduler, kind: str) -> None:
    """Half open: its machine is gone, or the wire. Nothing is sent to it but pings, and no lease tells of a client."""
    url, greeting = (pinging.session_url, HELLO) if kind == "client" else (pinging.node_url, register("a:b"))
    before = len(pinging.events("peer_aborted"))
    async with cut_off(pinging, no_pong=1), deaf(url, greeting), connected(pinging.session_url) as answering:
        await greeted(answering, {"type": "hello"})
        await until(lambda: len(pinging.events("peer_aborted")) > before)
        await (await answering.ping())  # one that answers is not touched
    assert await told_once(url, greeting) == "no_pong"


@pytest.mark.parametrize("door", ["/ws/session", "/ws/node"])
async def test_who_never_says_who_it_is_is_cut_off(calm: Scheduler, door: str) -> None:
    async with connected(calm.url.replace("http", "ws") + door) as silent, cut_off(calm, no_greeting=1):
        await silent.wait_closed()


def test_what_the_kernel_keeps_for_a_peer_is_bounded() -> None:
    """Left to itself it takes 4 MB for each before anybody notices that nothing is read."""
    listener = listen(Settings(port=0))
    with listener, sockets.create_connection(listener.getsockname()) as client:
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            kept = accepted.getsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF)
            assert kept in (SEND_BUFFER_BYTES, 2 * SEND_BUFFER_BYTES), "Linux tells twice what was asked for"
            assert client.getsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF) != kept, "it is no default"
