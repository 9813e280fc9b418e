"""The connection of the script calls: what it sends, and bytes that are no answers, without a server."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis import exceptions

from voxpool.scheduler.stores.script_connection import JOINED_BYTES_MAX, ScriptConnection

PING = ("PING",)


class Wire:
    """The connection of redis-py and its transport in one; the test is the server. `early` came while connecting."""

    def __init__(self, early: bytes = b"") -> None:
        self.written: list[bytes] = []
        self.is_aborted = False
        self.protocol: Any = None
        self._writer = SimpleNamespace(transport=self)
        self._reader = SimpleNamespace(_buffer=bytearray(early))
        self.connection = ScriptConnection(self)

    async def connect(self) -> None:
        """As redis-py's."""

    async def disconnect(self, nowait: bool) -> None:
        """As redis-py's."""
        assert nowait

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_reading(self) -> bool:
        return True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, lines: list[bytes]) -> None:
        self.written.extend(lines)

    def abort(self) -> None:
        self.is_aborted = True

    async def ask(self, *answers: bytes, commands: int = 1) -> list[Any]:
        """Exchange so many PINGs for `answers`, each of which comes in a piece of its own."""
        asked = asyncio.ensure_future(self.connection.exchange([PING] * commands))
        await asyncio.sleep(0)
        for answer in answers:
            self.protocol.data_received(answer)
        async with asyncio.timeout(20):
            return await asked


async def connected(early: bytes = b"") -> Wire:
    wire = Wire(early)
    await wire.connection.connect()
    return wire


async def test_commands_leave_in_one_write_and_answers_come_in_any_pieces() -> None:
    wire = await connected()
    whole = b"*2\r\n$1\r\nn\r\n$3\r\n\xe9\x9f\xb3\r\n:7\r\n$-1\r\n"
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    assert await wire.ask(*pieces, commands=3) == [["n", "音"], 7, None]
    assert wire.written == [b"*1\r\n$4\r\nPING\r\n" * 3]
    assert await wire.ask(b"+PONG\r\n") == ["PONG"] and wire.connection.is_connected and not wire.is_aborted


async def test_large_commands_are_not_copied_into_one_piece() -> None:
    wire = await connected()
    asked = asyncio.ensure_future(wire.connection.exchange([("SET", "k", b"\xff" * JOINED_BYTES_MAX), PING]))
    await asyncio.sleep(0)
    wire.protocol.data_received(b"+OK\r\n+PONG\r\n")
    assert await asked == ["OK", "PONG"] and len(wire.written) == 2 and b"\xff" * JOINED_BYTES_MAX in wire.written[0]


async def test_audio_is_not_decoded() -> None:
    wire = await connected()
    asked = asyncio.ensure_future(wire.connection.exchange([("MGET", "a", "b"), ("MGET", "c"), ("GET", "d")]))
    await asyncio.sleep(0)
    wire.protocol.data_received(b"*2\r\n$3\r\n\xff\xfe\xfd\r\n$-1\r\n-MOVED 1 h:2\r\n$1\r\nx\r\n")
    audio, moved, text = await asked
    assert audio == [b"\xff\xfe\xfd", None] and isinstance(moved, exceptions.ResponseError) and text == "x"
    assert await wire.connection.exchange([]) == []


async def test_an_error_of_a_command_is_an_answer() -> None:
    wire = await connected()
    missing, full = await wire.ask(b"-NOSCRIPT No matching script.\r\n-OOM full\r\n", commands=2)
    assert type(missing) is exceptions.NoScriptError and type(full) is exceptions.OutOfMemoryError
    assert not wire.is_aborted


@pytest.mark.parametrize(
    ("answer", "error"),
    {
        b"HTTP/1.0 503 Service Unavailable\r\n\r\n": exceptions.InvalidResponse,
        b"$3\r\n\xff\xfe\xfd\r\n": UnicodeDecodeError,
        b">2\r\n+message\r\n+hi\r\n": exceptions.InvalidResponse,
        b"-ERR max number of clients reached\r\n": exceptions.ConnectionError,
        b"*1\r\n-ERR max number of clients reached\r\n": exceptions.ConnectionError,
    }.items(),
)
async def test_what_is_no_answer_ends_the_connection(answer: bytes, error: type[Exception]) -> None:
    wire = await connected()
    with pytest.raises(error):
        await wire.ask(answer)
    assert wire.is_aborted
    with pytest.raises(error):
        await wire.ask()


async def test_the_false_of_resp_3_is_an_answer_and_no_wait_for_more() -> None:
    wire = await connected()
    assert await wire.ask(b"#f\r\n") == [False]


async def test_bytes_that_nobody_asked_for_break_it() -> None:
    for early in (False, True):
        wire = await connected()
        if early:
            wire.protocol.data_received(b"+PONG\r\n")
        else:
            assert await wire.ask(b"+PONG\r\n+PONG\r\n") == ["PONG"]
        assert wire.is_aborted
        with pytest.raises(exceptions.InvalidResponse, match="more than it was asked for"):
            await wire.ask()


async def test_a_refusal_that_comes_while_connecting_is_the_first_answer() -> None:
    wire = await connected(early=b"-ERR max number of clients reached\r\n")
    with pytest.raises(exceptions.ConnectionError, match="max number of clients"):
        await wire.ask()


async def test_a_server_that_closes_is_an_error_now_and_for_the_next_exchange() -> None:
    wire = await connected()
    asked = asyncio.ensure_future(wire.connection.exchange([PING]))
    await asyncio.sleep(0)
    wire.protocol.connection_lost(None)
    for one in (asked, wire.ask()):
        with pytest.raises(exceptions.ConnectionError, match="closed by server"):
            await one


async def test_answers_to_an_exchange_that_was_given_up_are_dropped() -> None:
    wire = await connected()
    asked = asyncio.ensure_future(wire.connection.exchange([PING]))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    wire.protocol.data_received(b"+PONG\r\n")
    await wire.connection.disconnect()
    assert wire.is_aborted and not wire.connection.is_connected
    with pytest.raises(exceptions.ConnectionError, match="not connected"):
        await cast(Any, wire.connection).exchange([PING])
