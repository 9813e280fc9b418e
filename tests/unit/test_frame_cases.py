"""Frames as RFC 6455 has them, after the cases of the Autobahn test suite, by their numbers.

Each case comes whole, byte by byte, and in two pieces: the quick way through a message in one whole frame and the
library's parser must give the same messages, pongs and close codes. Its chapters 6 (UTF-8) and 12, 13 (compression)
concern the layers above: text is decoded with its message, and compression is never accepted (last test here).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from websockets.frames import Opcode, apply_mask  # type: ignore[attr-defined]

from tests.unit.test_peer_socket import aborts, joined
from voxpool.scheduler.protocol.framing import PING as FINAL_PING
from voxpool.scheduler.protocol.framing import whole_frame

__all__ = ["aborts"]
FIN = 0x80
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
BYTES_MAX = 70_000
MASK = b"\x37\xfa\x21\x3d"
TOLD = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
NEVER_SENT = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)


class Case(NamedTuple):
    """What is sent, and what follows: messages, pongs, and a close code (0 = the connection stays open)."""

    sent: bytes
    messages: tuple[bytes, ...] = ()
    pongs: tuple[bytes, ...] = ()
    close: int = 0


def frame(first: int, data: bytes = b"", masked: bool = True, width: int | None = None) -> bytes:
    """Return a frame; `width` is the number of bytes of its length, the fewest by default."""
    size = len(data)
    if width is None:
        width = 1 if size < 126 else 2 if size < 65536 else 8
    second = size if width == 1 else 126 if width == 2 else 127
    head = bytes((first, second | 128 * masked)) + (size.to_bytes(width, "big") if width > 1 else b"")
    return head + (MASK + apply_mask(data, MASK) if masked else data)


def text(data: bytes) -> bytes:
    return frame(FIN | TEXT, data)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(FIN | CLOSE, code.to_bytes(2, "big") + reason)


SIZES = (0, 125, 126, 127, 128, 65535, 65536)
CASES: dict[str, Case] = {
    **{f"1.1.{n}": Case(text(b"*" * size), (b"*" * size,)) for n, size in enumerate(SIZES, 1)},
    **{f"1.2.{n}": Case(frame(FIN | BINARY, b"\xfe" * size), (b"\xfe" * size,)) for n, size in enumerate(SIZES, 1)},
    "2.1": Case(frame(FIN | PING), pongs=(b"",)),
    "2.2": Case(frame(FIN | PING, b"Hello, world!"), pongs=(b"Hello, world!",)),
    "2.3": Case(frame(FIN | PING, b"\x00\xff\xfe\xfd"), pongs=(b"\x00\xff\xfe\xfd",)),
    "2.4": Case(frame(FIN | PING, b"\xfe" * 125), pongs=(b"\xfe" * 125,)),
    "2.5": Case(frame(FIN | PING, b"\xfe" * 126), close=1002),
    "2.7": Case(frame(FIN | PONG)),
    "2.8": Case(frame(FIN | PONG, b"unsolicited")),
    "2.9": Case(frame(FIN | PONG, b"unsolicited") + frame(FIN | PING, b"ping"), pongs=(b"ping",)),
    "2.10": Case(b"".join(frame(FIN | PING, b"%d" % n) for n in range(10)), pongs=tuple(b"%d" % n for n in range(10))),
    "3.1": Case(frame(FIN | 0x10 | TEXT, b"x"), close=1002),
    "3.2": Case(text(b"good") + frame(FIN | 0x20 | TEXT, b"x"), (b"good",), close=1002),
    "3.3": Case(text(b"good") + frame(FIN | 0x30 | TEXT, b"x") + frame(FIN | PING), (b"good",), close=1002),
    "3.5": Case(frame(FIN | 0x50 | BINARY, b"x"), close=1002),
    "3.6": Case(frame(FIN | 0x60 | PING, b"x"), close=1002),
    "3.7": Case(frame(FIN | 0x70 | CLOSE), close=1002),
    **{f"4.1.{n}": Case(text(b"a") + frame(FIN | n + 2, b"x"), (b"a",), close=1002) for n in range(1, 6)},
    **{f"4.2.{n}": Case(text(b"a") + frame(FIN | n + 10), (b"a",), close=1002) for n in range(1, 6)},
    "5.1": Case(frame(PING, b"x") + frame(FIN | CONT, b"y"), close=1002),
    "5.3": Case(frame(TEXT, b"one") + frame(FIN | CONT, b"two"), (b"onetwo",)),
    "5.6": Case(frame(TEXT, b"one") + frame(FIN | PING, b"p") + frame(FIN | CONT, b"two"), (b"onetwo",), pongs=(b"p",)),
    "5.9": Case(frame(FIN | CONT, b"x") + text(b"y"), close=1002),
    "5.12": Case(frame(CONT, b"x") + text(b"y"), close=1002),
    "5.15": Case(frame(TEXT, b"1") + frame(FIN | CONT, b"2") + frame(CONT, b"3"), (b"12",), close=1002),
    "5.18": Case(frame(TEXT, b"1") + text(b"2"), close=1002),
    "5.20": Case(
        frame(TEXT, b"1") + frame(CONT) + frame(FIN | PING) + frame(FIN | CONT, b"2") + text(b"3"),
        (b"12", b"3"),
        pongs=(b"",),
    ),
    "7.1.1": Case(text(b"last") + close(1000), (b"last",), close=1000),
    "7.1.3": Case(close(1000) + frame(FIN | PING, b"late"), close=1000),
    "7.1.4": Case(close(1000) + text(b"late"), close=1000),
    "7.1.5": Case(frame(TEXT, b"part") + close(1000) + frame(FIN | CONT, b"late"), close=1002),
    "7.3.1": Case(frame(FIN | CLOSE), close=1005),
    "7.3.2": Case(frame(FIN | CLOSE, b"a"), close=1002),
    "7.3.5": Case(close(1000, b"*" * 123), close=1000),
    "7.3.6": Case(close(1000, b"*" * 124), close=1002),
    "7.5.1": Case(close(1000, b"\xce\xba\xed\xa0\x80"), close=1007),
    **{f"7.7.{n}": Case(close(code), close=code) for n, code in enumerate(TOLD, 1)},
    **{f"7.9.{n}": Case(close(code), close=1002) for n, code in enumerate(NEVER_SENT, 1)},
    "9: above the bound": Case(text(b"a") + text(b"x" * (BYTES_MAX + 1)), (b"a",), close=1009),
    "9: parts above the bound": Case(frame(TEXT, b"a" * BYTES_MAX) + frame(FIN | CONT, b"b"), close=1009),
    "9: a length of 2^63": Case(bytes((FIN | BINARY, 255)) + b"\x80" + bytes(7) + MASK, close=1009),
    "5.1 of the RFC: not masked": Case(frame(FIN | TEXT, b"x", masked=False), close=1002),
    "5.1 of the RFC: not masked, long": Case(frame(FIN | BINARY, b"x" * 300, masked=False), close=1002),
    "a masked message in the middle of a fragmented one": Case(
        frame(BINARY, b"") + frame(FIN | BINARY, b"x"), close=1002
    ),
}


def pieces(sent: bytes) -> Iterator[list[bytes]]:
    """Return the ways in which `sent` comes."""
    yield [sent]
    for at in sorted({1, 2, 3, 5, 6, 8, 14, len(sent) // 2, len(sent) - 1} & set(range(1, len(sent)))):
        yield [sent[:at], sent[at:]]
    if len(sent) < 500:
        yield [sent[at : at + 1] for at in range(len(sent))]


@pytest.mark.parametrize("name", CASES)
async def test_a_case_of_autobahn(name: str, aborts: list[str]) -> None:
    case = CASES[name]
    for parts in pieces(case.sent):
        pair = await joined(aborts, send_buffer_bytes_max=10**6)
        pair.socket.transport.is_known = True
        pair.socket.conn.max_message_size = BYTES_MAX
        got: list[bytes] = []
        pair.socket.serve(taken(got))
        for part in parts:
            pair.socket.data_received(part)
        pongs = [bytes(event.data) for event in pair.received() if event.opcode is Opcode.PONG]
        closed = pair.client.close_rcvd
        assert (tuple(pongs), 0 if closed is None else closed.code) == (case.pongs, case.close), len(parts)
        # A message that comes in the same piece as a violation may be lost with the connection.
        assert tuple(got) == (case.messages[: len(got)] if case.close in (1002, 1009) else case.messages), len(parts)


def taken(into: list[bytes]) -> Callable[[bytes, bool], bool]:
    """Return a handler that takes everything."""

    def on_frame(data: bytes, binary: bool) -> bool:
        assert type(data) in (bytes, bytearray)
        into.append(bytes(data))
        return True

    return on_frame


@pytest.mark.parametrize("masked", [True, False])
def test_only_a_whole_plain_frame_of_a_message_or_a_ping_or_pong_is_taken_the_quick_way(masked: bool) -> None:
    good = {size: frame(FIN | TEXT, b"x" * size, masked) for size in SIZES}
    for size, whole in good.items():
        assert whole_frame(b"?" + whole + b"!", 1, masked, BYTES_MAX) == (b"x" * size, FIN | TEXT, len(whole) + 1)
        assert whole_frame(whole, 0, masked, size) is not None
        assert whole_frame(whole, 0, masked, size - 1) is None, "above the bound"
        assert whole_frame(whole, 0, not masked, BYTES_MAX) is None, "masked where it must not be, or not masked"
        for left in {*range(min(len(whole), 20)), len(whole) - 1}:
            assert whole_frame(whole[:left], 0, masked, BYTES_MAX) is None, "in part"
    quick = {FIN | TEXT, FIN | BINARY, FIN | PING, FIN | PONG}
    for first in set(range(256)) - quick:
        assert whole_frame(frame(first, b"x", masked), 0, masked, BYTES_MAX) is None
    for first in quick:
        assert whole_frame(frame(first, b"x", masked), 0, masked, 1) == (b"x", first, 7 if masked else 3)
    for first, size in itertools.product((FIN | PING, FIN | PONG), (126, 65_536)):
        assert whole_frame(frame(first, b"x" * size, masked), 0, masked, BYTES_MAX) is None, "above what it may carry"
    assert {first for first in quick if first < FINAL_PING} == {FIN | TEXT, FIN | BINARY}
    for size, width in itertools.product((0, 125), (2, 8)):
        assert whole_frame(frame(FIN | TEXT, b"x" * size, masked, width), 0, masked, BYTES_MAX) is None
    assert whole_frame(frame(FIN | TEXT, b"x" * 126, masked, 8), 0, masked, BYTES_MAX) is None
    huge = bytes((FIN | TEXT, 127 | 128 * masked)) + b"\xff" * 8 + MASK
    assert whole_frame(huge, 0, masked, BYTES_MAX) is None


async def test_compression_is_never_accepted(aborts: list[str]) -> None:
    """12.x, 13.x: the handshake names no extension, and a frame with RSV1 is an error (3.4)."""
    pair = await joined(aborts)
    assert pair.socket.conn.extensions == [] and pair.client.extensions == []
    pair.socket.data_received(frame(FIN | 0x40 | TEXT, b"x"))
    pair.received()
    assert pair.received_close()[0] == 1002
