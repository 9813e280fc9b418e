"""Writes of one turn of the loop go out as one: in order, before an end, counted while they wait, and bounded."""

from __future__ import annotations

import asyncio

import pytest

from voxpool.scheduler.protocol.framing import GATHERED_BYTES_MAX, SendingTransport


class Recorder(asyncio.Transport):
    """Records what is done to it; of each write `kept` bytes stay in its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes | str] = []
        self.kept = 0
        self.has_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data))

    def write_eof(self) -> None:
        self.done.append("eof")

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.has_ended = True
        self.done.append("close")

    def abort(self) -> None:
        self.has_ended = True
        self.done.append("abort")

    def is_closing(self) -> bool:
        return self.has_ended

    def get_write_buffer_size(self) -> int:
        return self.kept


def made() -> tuple[SendingTransport, Recorder]:
    recorder = Recorder()
    return SendingTransport(recorder, asyncio.get_running_loop(), recorder.done.append, 1.0, 1_000_000), recorder


async def test_writes_of_one_turn_are_one_write_of_the_next() -> None:
    transport, recorder = made()
    transport.write(b"a")
    transport.write(bytearray(b"b"))
    assert recorder.done == []
    await asyncio.sleep(0)
    transport.write(memoryview(b"c"))
    await asyncio.sleep(0)
    assert recorder.done == [b"ab", b"c"]


async def test_a_buffer_that_changes_after_its_write_does_not_change_what_is_sent() -> None:
    transport, recorder = made()
    buffer = bytearray(b"before")
    transport.write(buffer)
    buffer[:] = b"later!"
    await asyncio.sleep(0)
    assert recorder.done == [b"before"]


@pytest.mark.parametrize(("end", "last"), [("close", "close"), ("write_eof", "eof")])
async def test_an_end_comes_after_what_was_written(end: str, last: str) -> None:
    transport, recorder = made()
    transport.write(b"last words")
    getattr(transport, end)()
    await asyncio.sleep(0)
    assert recorder.done == [b"last words", last]


async def test_an_abort_drops_what_was_written_and_nothing_is_written_after_it() -> None:
    transport, recorder = made()
    transport.write(b"a")
    transport.abort()
    transport.write(b"b")
    await asyncio.sleep(0)
    assert recorder.done == ["abort"]
    assert transport.get_write_buffer_size() == 0


async def test_what_is_gathered_counts_as_not_yet_sent() -> None:
    transport, recorder = made()
    recorder.kept = 7
    transport.write(b"abc")
    assert transport.get_write_buffer_size() == 10
    transport.flush()
    assert transport.get_write_buffer_size() == 7


async def test_much_is_written_at_once() -> None:
    transport, recorder = made()
    transport.write(b"head")
    transport.write(bytes(GATHERED_BYTES_MAX))
    assert recorder.done == [b"head" + bytes(GATHERED_BYTES_MAX)]


async def test_what_a_connection_that_was_lost_had_gathered_is_not_written() -> None:
    transport, recorder = made()
    transport.write(b"a")
    recorder.has_ended = True
    await asyncio.sleep(0)
    assert recorder.done == []


async def test_a_peer_for_which_too_much_waits_is_cut_off_in_the_same_turn() -> None:
    transport, recorder = made()
    transport.send_buffer_bytes_max = 10
    recorder.kept = 8
    transport.write(b"abc")
    assert recorder.done == [b"abc"], "it is handed over first: it may be taken at once"
    recorder.kept = 9
    transport.write(b"de")
    assert recorder.done == [b"abc", b"de"]
    recorder.kept = 11
    transport.write(b"f")
    assert recorder.done == [b"abc", b"de", b"f", "send_buffer_full"]
