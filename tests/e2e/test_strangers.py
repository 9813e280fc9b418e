"""Unauthenticated peers: the traffic of one costs the others nothing, and it is closed.

Raw sockets against real processes; each test checks the answer to the stranger and that health still answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.frames import Close, Frame, Opcode

from tests.e2e.counted import cut_off
from tests.e2e.processes import TONE, Scheduler
from tests.e2e.raw_http import Raw, raw, request, status_of
from tests.e2e.secured import Keys, Secured
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_bad_input_nodes import register
from tests.e2e.test_processes import started

MIB = 1024**2
HANDSHAKE = ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A scheduler with tokens."""
    folder = tmp_path_factory.mktemp("guarded")
    with started(Secured(folder, Keys(folder), "--send-stall-s", "1", "--head-s", "2")) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler without tokens."""
    flags = ("--send-stall-s", "1", "--head-s", "2", "--session-grace-s", "0")
    with started(Scheduler(tmp_path_factory.mktemp("unguarded"), "memory", *flags)) as scheduler:
        yield scheduler


def frame(opcode: Opcode, data: bytes = b"", fin: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    return Frame(opcode, data, fin).serialize(mask=True)


@contextlib.asynccontextmanager
async def websocket(port: int, path: str) -> AsyncIterator[Raw]:
    """A WebSocket on which nothing was sent."""
    async with raw(port) as wire:
        await wire.send(request("GET", path, *HANDSHAKE, KEY))
        assert b" 101 " in await wire.answer()
        yield wire


def close_in(received: bytes) -> Close | None:
    """Return the close frame among the unmasked frames in `received`."""
    while len(received) >= 2:
        length, start = received[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(received[2:start], "big")
        if received[0] & 0x0F == Opcode.CLOSE:
            return Close.parse(received[start : start + length])
        received = received[start + length :]
    return None


async def is_well(scheduler: Scheduler) -> bool:
    """Return whether /healthz answers on a new connection."""
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=5) as http:
        return (await http.get("/healthz")).status_code == 200


# ---- tiny frames


TINY = {
    "empty pongs": frame(Opcode.PONG),
    "pings": frame(Opcode.PING, b"x"),
    "empty continuations": frame(Opcode.CONT, fin=False),
    "continuations of one byte": frame(Opcode.CONT, b" ", fin=False),
}


@pytest.mark.parametrize("door", ["/ws/session", "/ws/node"])
@pytest.mark.parametrize("kind", TINY)
async def test_a_peer_that_sends_tiny_frames_is_closed_with_1008_and_health_answers(
    guarded: Secured, door: str, kind: str
) -> None:
    """A read of 256 kB contains 40,000 of them, which used to be parsed before anything else could run."""
    async with websocket(guarded.port, door) as wire:
        if "continuations" in kind:
            await wire.send(frame(Opcode.TEXT, b"{", fin=False))
        sending = asyncio.create_task(wire.send(TINY[kind] * (2 * MIB // len(TINY[kind]))))
        received = asyncio.create_task(wire.rest())
        assert await is_well(guarded)
        closed = close_in(await received)
        assert closed is not None and closed.code == 1008, closed
        await sending


async def test_an_authenticated_peer_may_not_send_tiny_frames_either(guarded: Secured) -> None:
    async with websocket(guarded.port, "/ws/session") as wire:
        await wire.send(frame(Opcode.TEXT, text(type="hello", token=guarded.keys.secrets["ann"]).encode()))
        await wire.send(TINY["empty pongs"] * 20_000)
        closed = close_in(await wire.rest())
        assert closed is not None and closed.code == 1008


async def test_some_pings_a_second_and_fragments_of_a_kilobyte_are_accepted(guarded: Secured) -> None:
    async with websocket(guarded.port, "/ws/session") as wire:
        hello = text(type="hello", token=guarded.keys.secrets["ann"], filling="y" * 100_000).encode()
        parts = [hello[at : at + 1024] for at in range(0, len(hello), 1024)]
        for number, part in enumerate(parts):
            opcode = Opcode.CONT if number else Opcode.TEXT
            await wire.send(frame(Opcode.PING) + frame(opcode, part, fin=part is parts[-1]))
        await until_received(wire, b'"welcome"')


async def until_received(wire: Raw, wanted: bytes) -> bytes:
    """Return the received bytes as soon as they contain `wanted`."""
    received = b""
    async with asyncio.timeout(15):
        while wanted not in received:
            part = await wire._reader.read(65536)
            assert part, received
            received += part
    return received


# ---- after a final answer


@pytest.mark.parametrize("piece", [b"1\r\ny\r\n", b"4000\r\n" + b"y" * 0x4000 + b"\r\n"])
async def test_chunks_after_a_rejection_are_dropped_within_a_budget(guarded: Secured, piece: bytes) -> None:
    """The peer has the answer; it may send for a moment more, so that it can read it, but not 256 MiB."""
    async with raw(guarded.port) as wire:
        await wire.send(request("POST", "/v1/jobs?pair=a:b", "Transfer-Encoding: chunked"))
        assert status_of(await wire.answer()) == 401
        sent = 0
        block = piece * (256 * 1024 // len(piece))
        while not wire.writer.is_closing() and sent < 200 * MIB:
            await wire.send(block)
            sent += len(block)
            await asyncio.sleep(0)
        assert sent < 64 * MIB, f"{sent / MIB:.0f} MiB were taken"
        assert await is_well(guarded)


async def test_a_rejection_within_a_body_has_a_reason_and_closes_the_connection(guarded: Secured) -> None:
    async with raw(guarded.port) as wire:
        await wire.send(request("POST", "/v1/jobs?pair=a:b", f"Content-Length: {8 * MIB}") + b"y" * (2 * MIB))
        answer = await wire.answer()
        assert status_of(answer) == 401 and b"connection: close" in answer.lower()
        await wire.send(b"y" * (6 * MIB))
        assert await wire.rest() == b"", "its end comes when all was sent, and it is no reset before the answer"


async def test_an_authenticated_peer_keeps_its_connection_after_a_rejection(guarded: Secured) -> None:
    """At overload most submits are rejected; a new connection for each would cost more than they do."""
    bearer = f"Authorization: Bearer {guarded.keys.secrets['ann']}"
    async with raw(guarded.port) as wire:
        for _ in range(2):
            await wire.send(request("POST", "/v1/jobs?pair=wrong", bearer, f"Content-Length: {len(TONE)}"))
            answer = await wire.answer()
            assert status_of(answer) == 422 and b"connection: close" not in answer.lower()
            await wire.send(TONE)


async def test_tiny_chunks_of_a_body_are_rejected(unguarded: Scheduler) -> None:
    async with raw(unguarded.port) as wire, cut_off(unguarded, small_parts=1):
        await wire.send(request("POST", "/v1/jobs?pair=a:b", "Transfer-Encoding: chunked"))
        sending = asyncio.create_task(wire.send(b"1\r\ny\r\n" * 200_000))
        assert await is_well(unguarded)
        assert status_of(await wire.answer()) == 400
        await sending


# ---- the send buffer


async def test_pings_do_not_keep_a_peer_that_reads_nothing(unguarded: Scheduler) -> None:
    """Their pongs wait in the buffer: bytes that leave count, not bytes that are added."""
    async with websocket(unguarded.port, "/ws/session") as wire, cut_off(unguarded, takes_nothing=1):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await wire.send(frame(Opcode.TEXT, text(type="hello").encode()))
        unknown = frame(Opcode.TEXT, text(type="cancel", job_id="x" * 64).encode())
        for _ in range(30):
            await wire.send(unknown * 1000 + frame(Opcode.PING, b"x" * 100))
        while not wire.writer.is_closing():
            await wire.send(frame(Opcode.PING, b"x" * 100))
            await asyncio.sleep(0.1)


# ---- the host of a request


async def test_without_tokens_a_foreign_host_name_is_always_rejected(folder: Path) -> None:
    """With DNS rebinding a page of evil.example has its name resolved to our address, and then is of our origin."""
    with started(Scheduler(folder, "memory", "--host", "0.0.0.0")) as scheduler:
        for host, status in (("evil.example", 421), ("localhost", 200), (f"127.0.0.1:{scheduler.port}", 200)):
            rebound = (f"Host: {host}", f"Origin: http://{host}")
            assert await status_at(scheduler.port, "/v1/jobs", *rebound) == status
            opened = await status_at(scheduler.port, "/ws/session", *rebound, *HANDSHAKE, KEY)
            assert opened == (101 if status == 200 else 421)


async def status_at(port: int, path: str, *headers: str) -> int:
    """Return the status of a request with exactly these headers."""
    async with raw(port) as wire:
        await wire.send("\r\n".join([f"GET {path} HTTP/1.1", *headers, "", ""]).encode())
        return await wire.status()


async def test_a_name_is_allowed_by_the_setting_hosts(folder: Path) -> None:
    with started(Scheduler(folder, "memory", "--host", "0.0.0.0", "--hosts", "pool.example")) as scheduler:
        assert await status_at(scheduler.port, "/healthz", "Host: pool.example:5010") == 200
        assert await status_at(scheduler.port, "/healthz", "Host: evil.example") == 421


# ---- strict heads and sizes


@pytest.mark.parametrize("upgrade", [(), (*HANDSHAKE, KEY)])
@pytest.mark.parametrize("hosts", [(), ("Host: localhost", "Host: localhost")])
async def test_a_request_must_have_exactly_one_host(
    unguarded: Scheduler, hosts: tuple[str, ...], upgrade: tuple[str, ...]
) -> None:
    path = "/ws/session" if upgrade else "/healthz"
    assert await status_at(unguarded.port, path, *hosts, *upgrade) == 400


async def test_http_1_0_needs_no_host(unguarded: Scheduler) -> None:
    async with raw(unguarded.port) as wire:
        await wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert await wire.status() == 200


async def test_a_pipelined_upgrade_is_refused(unguarded: Scheduler) -> None:
    """The earlier request is answered and the connection closed; no 101 is sent before or after it."""
    async with httpx.AsyncClient(base_url=unguarded.url, trust_env=False) as http:
        job = (await http.post("/v1/jobs?pair=a:b", content=TONE)).json()["job_id"]
        async with raw(unguarded.port) as wire:
            waiting = request("GET", f"/v1/jobs/{job}?wait_s=1")
            await wire.send(waiting + request("GET", "/ws/session", *HANDSHAKE, KEY))
            received = await wire.rest()
            assert received.count(b"HTTP/1.1") == 1 and status_of(received) == 200, received
        await http.delete(f"/v1/jobs/{job}")


async def test_frames_right_after_a_handshake_are_refused(unguarded: Scheduler) -> None:
    """A client sends none before the answer; such frames used to be lost silently."""
    async with raw(unguarded.port) as wire:
        hello = frame(Opcode.TEXT, text(type="hello").encode())
        await wire.send(request("GET", "/ws/session", *HANDSHAKE, KEY) + hello)
        assert status_of(await wire.rest()) == 400


async def test_the_size_of_a_message_from_a_node_is_limited_by_the_output(unguarded: Scheduler) -> None:
    """The limit is twice the output, for characters that JSON may escape, and some room."""
    async with websocket(unguarded.port, "/ws/node") as wire:
        await wire.send(frame(Opcode.TEXT, text(**register("a:b")).encode()))
        await until_received(wire, b'"registered"')
        await wire.send(frame(Opcode.TEXT, text(type="result", job_id="a", attempt=1, output="y" * 3 * MIB).encode()))
        closed = close_in(await wire.rest())
        assert closed is not None and closed.code == 1009


@pytest.mark.parametrize("number", ["1" + "0" * 4000, "1" * 20_000, "1e400", "9" * 30])
async def test_a_number_of_any_length_is_rejected_with_a_message(unguarded: Scheduler, number: str) -> None:
    async with websocket(unguarded.port, "/ws/session") as wire:
        await wire.send(frame(Opcode.TEXT, text(type="hello").encode()))
        await until_received(wire, b'"welcome"')
        submit = json.loads(text(type="submit", request_id="long", pair="a:b", audio=TONE))
        message = json.dumps({**submit, "timeout_ms": 77}).replace(": 77", f": {number}")
        await wire.send(frame(Opcode.TEXT, message.encode()))
        answer = await until_received(wire, b'"request_id"')
        assert b'"rejected"' in answer and b"bad_timeout_ms" in answer and len(answer) < 1000, answer
    async with websocket(unguarded.port, "/ws/node") as wire:
        message = text(**register("a:b"), protocol=77).replace(": 77", f": {number}").replace(":77", f":{number}")
        await wire.send(frame(Opcode.TEXT, message.encode()))
        received = await wire.rest()
        closed = close_in(received)
        assert closed is not None and closed.code == 1008 and len(received) < 1000
