"""The audio of a load test: a WAV file that contains the work of the node, and the answer that proves its receipt.

The client writes work, a number and filler; the node reads them and answers with the length and the checksum of the
audio; the client compares them. Other audio is answered without work.
"""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

import msgspec

MAGIC = b"VPLT"
_WAV = struct.Struct("<4sI4s4sIHHIIHH4sI")
_ORDER = struct.Struct("<4sIQ")
"""Magic, work in us, number."""
BYTES_MIN = _WAV.size + _ORDER.size
"""The size of the shortest audio with an order."""
WORK_US_MAX = 2**32 - 1
FILLER_BYTES = 1 << 20
_filler = random.Random("the filler of load tests").randbytes(FILLER_BYTES)


class Order(msgspec.Struct, frozen=True):
    """The work that an audio requests of its node."""

    work_s: float
    number: int


class AudioAnswer(msgspec.Struct, frozen=True):
    """The answer of a node: the checksum (CRC-32) and the size of the audio, and its number."""

    crc32: int
    bytes: int
    number: int


def make(work_s: float, number: int, size: int) -> bytes:
    """Return a WAV file of `size` bytes (at least BYTES_MIN) that requests `work_s` seconds of work."""
    size = max(BYTES_MIN, size)
    data = size - _WAV.size
    head = _WAV.pack(
        *(b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", data)
    )  # PCM, one channel, 16 kHz, 16 bit
    order = _ORDER.pack(MAGIC, min(WORK_US_MAX, max(0, round(work_s * 1e6))), number)
    return b"".join((head, order, filler(number, size - BYTES_MIN)))


def filler(number: int, size: int) -> bytes:
    """Return `size` bytes that look like noise."""
    first = number * 31 % (FILLER_BYTES - 1)
    part = _filler[first : first + size]
    while len(part) < size:
        part += _filler[: size - len(part)]
    return part


def order_of(audio: bytes) -> Order | None:
    """Return the order in `audio`, or None when it was not made by `make`."""
    if len(audio) < BYTES_MIN:
        return None
    magic, work_us, number = _ORDER.unpack_from(audio, _WAV.size)
    return Order(work_us / 1e6, number) if magic == MAGIC else None


def answer_to(audio: bytes, order: Order | None) -> AudioAnswer:
    """Return the answer to `audio`."""
    return AudioAnswer(zlib.crc32(audio), len(audio), order.number if order is not None else -1)


def is_answer(output: Any, wanted: AudioAnswer) -> bool:
    """True when `output`, as it came back through the scheduler, is the answer `wanted`."""
    return bool(output == {"crc32": wanted.crc32, "bytes": wanted.bytes, "number": wanted.number})
