"""Input that is too large, too slow or compressed is rejected, on real sockets, and no memory of it stays."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tests.e2e.counted import cut_off
from tests.e2e.processes import TONE, LeakyScheduler, Scheduler, connected, until
from tests.e2e.raw_http import TRICKLE_S, Raw, raw, request, status_of
from tests.e2e.test_bad_input_clients import text
from tests.e2e.test_bad_input_nodes import register
from tests.e2e.test_processes import started
from voxpool.scheduler.config import Settings

KIB = 1024
AUDIO_BYTES_MAX = 300_000
HEAD_S = 1.0
STALL_S = 1.0
RATE = 20_000
PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with short timeouts, for short tests; its size limits are the default ones."""
    patience = {"--head-s": HEAD_S, "--body-stall-s": STALL_S, "--body-bytes-per-s-min": RATE, "--send-stall-s": 0.5}
    forgetful = {"--retention-s": 0, "--cleanup-interval-s": 0.1, "--session-grace-s": 0, "--waiting-timeout-s": 1}
    flags = [word for flag, value in (patience | forgetful).items() for word in (flag, str(value))]
    folder = tmp_path_factory.mktemp("hasty")
    running = Scheduler(folder, "memory", "--audio-bytes-max", str(AUDIO_BYTES_MAX), *flags)
    yield running
    assert running.stop() == 0
    assert running.events("scheduler_failed") == []
    reported = {event["message"] for event in running.events("http_server")}
    assert reported <= {"Invalid HTTP request received."}, "uvicorn saw nothing that we had not foreseen"


@pytest.fixture(autouse=True)
async def nothing_is_left(hasty: Scheduler) -> AsyncIterator[None]:
    """Check that tables, tasks and open files are no more than before each test, once nothing is in flight."""
    before = await state_of(hasty)
    yield
    end_s = time.monotonic() + PATIENCE_S
    while more := {
        key: (before.get(key, 0), now) for key, now in (await state_of(hasty)).items() if now > before.get(key, 0)
    }:
        assert time.monotonic() < end_s, more
        await asyncio.sleep(0.02)


async def state_of(scheduler: Scheduler) -> dict[str, int]:
    """Return the entries of each table, the tasks by function, and the open files."""
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        report = (await http.get("/v1/debug/memory?gc=1")).json()
    # Left out: a second's log, the bounded history of the dashboard, pairs that are remembered for a while.
    passing = ("log._this_second", "dashboard._history.", "core.intake._")
    tables = {path: size for path, size in report["tables"].items() if not any(word in path for word in passing)}
    return {**tables, **report["tasks"]["functions"], "open files": report["open_files"]}


def submit(*headers: str) -> bytes:
    return request("POST", "/v1/jobs?pair=zh:en", *headers)


async def test_planted_leftovers_are_found(folder: Path) -> None:
    """The check at the end of all tests here finds a scheduler that keeps something of sessions and nodes."""
    with started(LeakyScheduler(folder, "memory", "--session-grace-s", "0")) as leaky:
        before = await state_of(leaky)
        async with connected(leaky.session_url) as socket:
            await socket.send(text(type="hello"))
            await socket.recv()
        async with connected(leaky.node_url) as node:
            await node.send(text(**register("a:b")))
            await node.recv()
        await until(lambda: leaky.events("session_closed") and leaky.events("node_offline"))
        after = await state_of(leaky)
    more = {name for name, count in after.items() if count > before.get(name, 0)}
    assert {"sessions.kept", "_for_ever"} <= more


# ---- the head


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request("GET", "/healthz", "x: " + "y" * 31 * KIB), 200),
        (request("GET", "/healthz", "x: " + "y" * 33 * KIB), 431),
        (request("GET", "/healthz", *(f"x{number}: y" for number in range(90))), 200),
        (request("GET", "/healthz", *(f"x{number}: y" for number in range(101))), 431),
        (request("GET", "/healthz", *(f"x{number}: {'y' * 400}" for number in range(90))), 431),
        (request("GET", "/healthz?" + "y" * 33 * KIB), 431),
        (b"y" * 33 * KIB, 400),
        (b"GET /" + b"y" * 200 * KIB, 431),
        (request("GET", "/healthz", "x: " + "y" * 200 * KIB)[:-4], 431),
    ],
)
async def test_the_size_of_a_head_is_limited(hasty: Scheduler, head: bytes, status: int) -> None:
    async with raw(hasty.port) as wire:
        await wire.send(head)
        answer = (await wire.answer()).lower()
        assert status_of(answer) == status and answer.count(b"x-content-type-options: nosniff") == 1


async def test_the_size_of_a_head_in_pieces_is_limited(hasty: Scheduler) -> None:
    async with cut_off(hasty, head_too_large=1), raw(hasty.port) as wire:
        await wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        assert status_of(await wire.trickle(b"x: " + b"y" * 4 * KIB + b"\r\n")) == 431


@pytest.mark.parametrize("start", [b"GET /healthz HTTP/1.1\r\n", b"GET /heal", b"\r\n"])
async def test_a_head_that_is_never_complete_is_closed(hasty: Scheduler, start: bytes) -> None:
    """Whether its bytes keep coming or not."""
    piece = b"x: y\r\n" if start.endswith(b"1.1\r\n") else start[-1:]
    async with cut_off(hasty, slow_head=2):
        async with raw(hasty.port) as wire:
            await wire.send(start)
            assert status_of(await wire.rest()) == 408
        async with raw(hasty.port) as wire:
            await wire.send(start)
            assert status_of(await wire.trickle(piece)) == 408


async def test_an_unused_connection_is_closed(hasty: Scheduler) -> None:
    """Without an answer and without a log line: browsers open some for later."""
    async with cut_off(hasty), raw(hasty.port) as wire:
        assert await wire.rest() == b""


async def test_empty_lines_do_not_keep_a_connection_open(hasty: Scheduler) -> None:
    async with raw(hasty.port) as wire:
        await wire.send(request("GET", "/healthz"))
        assert b"200 OK" in await wire.answer()
        assert status_of(await wire.trickle(b"\r\n")) == 408


async def test_a_connection_in_use_stays_open(hasty: Scheduler) -> None:
    """It is open for longer than a head may take; each request has its own time."""
    async with raw(hasty.port) as wire:
        for _ in range(round(2 * HEAD_S / TRICKLE_S)):
            await wire.send(request("GET", "/healthz"))
            assert b"200 OK" in await wire.answer()
            await asyncio.sleep(TRICKLE_S)


@pytest.mark.parametrize("wrong", [f"x: {'y' * 9 * KIB}", "x"])
async def test_a_handshake_that_is_valid_http_only_is_answered(hasty: Scheduler, wrong: str) -> None:
    """The HTTP parser is less strict than that of WebSockets, which parses the same head again."""
    upgrade = ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    async with raw(hasty.port) as wire:
        await wire.send(request("GET", "/ws/session", *upgrade, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", wrong))
        assert status_of(await wire.rest()) in (400, 431)


# ---- the body


async def test_a_slow_body_is_closed(hasty: Scheduler) -> None:
    async with cut_off(hasty, slow_body=2):
        async with raw(hasty.port) as wire:
            await wire.send(submit("Content-Length: 100000") + TONE[:100])
            assert status_of(await wire.trickle(b"y")) == 408
        async with raw(hasty.port) as wire:
            await wire.send(submit("Transfer-Encoding: chunked"))
            assert status_of(await wire.trickle(b"1\r\ny\r\n")) == 408


async def test_a_body_that_stops_is_closed_even_after_a_fast_start(hasty: Scheduler) -> None:
    async with cut_off(hasty, slow_body=1), raw(hasty.port) as wire:
        await wire.send(submit(f"Content-Length: {AUDIO_BYTES_MAX}") + b"y" * (AUDIO_BYTES_MAX - 1))
        assert status_of(await wire.rest()) == 408


async def test_a_body_may_take_longer_than_a_head(hasty: Scheduler) -> None:
    """A body at the minimum rate is accepted, beyond the time without progress."""
    async with raw(hasty.port) as wire:
        pieces = round(2 * STALL_S / TRICKLE_S)
        size = round(4 * RATE * TRICKLE_S)
        await wire.send(submit(f"Content-Length: {pieces * size}"))
        for _ in range(pieces):
            await wire.send(b"y" * size)
            await asyncio.sleep(TRICKLE_S)
        assert await wire.status() == 415, "it was read, and is no audio"


@pytest.mark.parametrize("around", [b"1;" + b"y" * KIB, b"0\r\nx: " + b"y" * KIB, b"0\r\n" + b"x: y\r\n" * 200])
async def test_chunk_extensions_and_trailers_are_limited(hasty: Scheduler, around: bytes) -> None:
    """They are headers after the body, and have the limits of headers."""
    more = b"x: y\r\n" if around.endswith(b"\r\n") else b"y" * 8 * KIB
    async with raw(hasty.port) as wire:
        await wire.send(submit("Transfer-Encoding: chunked") + around)
        assert status_of(await wire.trickle(more)) == 431


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/jobs?pair=zh:en", {"content-encoding": "gzip"}),
        ("/v1/jobs?pair=zh:en", {"content-encoding": "identity, br"}),
        ("/v1/nodes/any/drain", {"content-encoding": "deflate"}),
    ],
)
async def test_a_compressed_body_is_rejected_unread(hasty: Scheduler, path: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=hasty.url, trust_env=False) as http:
        answer = await http.post(path, headers=headers, content=TONE)
        assert (answer.status_code, answer.json()["reason"]) == (415, "compressed")


async def test_a_body_with_a_compressing_transfer_encoding_is_rejected_too(hasty: Scheduler) -> None:
    async with raw(hasty.port) as wire:
        await wire.send(submit("Transfer-Encoding: gzip, chunked"))
        assert b'"reason":"compressed"' in await wire.answer()


# ---- messages


async def test_compression_of_messages_is_never_negotiated(hasty: Scheduler) -> None:
    """A small frame could become a large message; a peer that sends a compressed one is closed."""
    offer = [ClientPerMessageDeflateFactory()]
    async with connect(hasty.session_url, extensions=offer, compression=None, proxy=None) as socket:
        assert socket.response is not None and "sec-websocket-extensions" not in socket.response.headers
        packed = bytearray(Frame(Opcode.TEXT, b"{}").serialize(mask=True))
        packed[0] |= 0x40  # RSV1: it is compressed (RFC 7692, 6)
        socket.transport.write(packed)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1002


async def test_a_frame_has_room_for_the_largest_audio_as_base64_and_not_for_much_more(hasty: Scheduler) -> None:
    audio = TONE + b"\x00" * (AUDIO_BYTES_MAX - len(TONE))
    async with connected(hasty.session_url) as socket:
        await socket.send(text(type="hello"))
        await socket.recv()
        await socket.send(text(type="submit", request_id="largest", pair="zh:en", audio=audio))
        assert json.loads(await socket.recv())["type"] == "accepted"
        await socket.send(text(type="submit", request_id="larger", pair="zh:en", audio=audio + b"\x00"))
        assert json.loads(await socket.recv())["reason"] == "audio_too_large"
        await socket.send("y" * (2 * Settings().output_bytes_max + 65 * KIB))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


@pytest.mark.parametrize("door", ["/ws/session", "/ws/node"])
@pytest.mark.parametrize("fragments", [False, True])
async def test_a_slow_message_is_closed(hasty: Scheduler, door: str, fragments: bool) -> None:
    """Inside one frame, or in fragments with pings answered between them."""
    async with cut_off(hasty, slow_message=1), raw(hasty.port) as wire:
        await upgraded(wire, door)
        if fragments:
            await wire.send(Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True))
            await wire.trickle(Frame(Opcode.CONT, b" ", fin=False).serialize(mask=True))
        else:
            await wire.send(Frame(Opcode.TEXT, b"y" * 100_000).serialize(mask=True)[:100])
            await wire.trickle(b"y")


async def upgraded(wire: Raw, path: str) -> None:
    """Open a WebSocket."""
    words = ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    await wire.send(request("GET", path, *words, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
    assert b" 101 " in await wire.answer()


# ---- the answer


async def test_a_peer_that_reads_no_answers_is_closed(hasty: Scheduler) -> None:
    """Even when the unread rest is small."""
    async with raw(hasty.port) as wire, cut_off(hasty, takes_nothing=1):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        wire.writer.write(request("GET", "/openapi.json") * 500)


@pytest.mark.parametrize("path", ["/v1/dashboard", "/v1/jobs/none?wait_s=60"])
async def test_pipelined_requests_of_a_closed_connection_are_forgotten(hasty: Scheduler, path: str) -> None:
    """The request being answered is not the last one that was read; it ends with the connection, too."""
    async with raw(hasty.port) as wire:
        await wire.send(request("GET", path) + request("GET", "/healthz"))
        assert await wire.status() in (200, 404)
