"""Frames of a connection, for server, client and worker: plain ones are read here, those of a turn written together.

Reading: nearly all traffic consists of messages in a single frame that has come in whole, and of pings and pongs. All
else, whether unusual or wrong, is left to the parser of the library: parts of messages, closes, frames that have come
in part or are too large, reserved bits, lengths that are written longer than they need be.

Writing: a write is a system call that costs more than the frame it carries: ten small frames cost eight times less in
one write. The bounds are what may wait to be sent, and for how long (the stall rule).
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # that of C, where it is built
from websockets.streams import StreamReader

from voxpool.scheduler.chance import unpredictable_bytes

TEXT, BINARY, PING, PONG = 0x81, 0x82, 0x89, 0x8A
"""The first byte: final, no reserved bit, the opcode (RFC 6455, 5.2). What is below PING carries a message."""


class FrameReader(StreamReader):
    """The bytes that the library's parser reads, which knows whether the parser is between two frames."""

    def __init__(self) -> None:
        super().__init__()
        self._is_between_frames = False

    @property
    def is_between_frames(self) -> bool:
        """Whether the parser waits for the first byte of a frame; it may wait in the middle of one with no bytes."""
        return self._is_between_frames and not self.buffer

    def at_eof(self) -> Generator[None, None, bool]:
        """Return whether all has been read; the parser asks before each frame."""
        self._is_between_frames = True
        has_ended = yield from super().at_eof()
        self._is_between_frames = False
        return has_ended


def whole_frame(data: bytes, at: int, is_masked: bool, bytes_max: int) -> tuple[bytes, int, int] | None:
    """Return what the frame at `at` carries, its first byte, and where it ends; or None."""
    left = len(data) - at
    if left < 2:
        return None
    first, length = data[at], data[at + 1]
    if first != BINARY and first != TEXT and ((first != PING and first != PONG) or length & 127 > 125):
        return None
    if is_masked:
        if length < 128:
            return None
        length -= 128
    body = at + (6 if is_masked else 2)
    if length == 126:
        if left < 4:
            return None
        length = data[at + 2] << 8 | data[at + 3]
        if length < 126:
            return None
        body += 2
    elif length > 126:
        length = int.from_bytes(data[at + 2 : at + 10], "big") if length == 127 and left >= 10 else 0
        if length < 65536:  # also one whose mask bit is set where there must be none
            return None
        body += 8
    end = body + length
    if length > bytes_max or end > len(data):
        return None
    message = data[body:end]
    return apply_mask(message, data[body - 4 : body]) if is_masked else message, first, end


def frame_head(length: int, first: int, mask_bit: int = 0) -> bytes:
    """Return the head of a final frame of `length` bytes; `mask_bit` is 128 when a mask follows (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((first, length | mask_bit))
    if length < 65536:
        return struct.pack("!BBH", first, 126 | mask_bit, length)
    return struct.pack("!BBQ", first, 127 | mask_bit, length)


def masked_frame(data: bytes, first: int = BINARY) -> bytes:
    """Return `data` as one frame of a client."""
    mask = next(_masks)
    return b"".join((frame_head(len(data), first, 128), mask, apply_mask(data, mask)))


def _fresh_masks() -> Iterator[bytes]:
    """Return masks that nobody can predict, as the RFC asks; a system call each would cost more than the masking."""
    while True:
        block = unpredictable_bytes(4096)
        for at in range(0, len(block), 4):
            yield block[at : at + 4]


_masks = _fresh_masks()


# ---- writing

GATHERED_BYTES_MAX = 65536
"""When so much has been gathered it is written at once: more gains nothing, and a peer that takes it should get it."""


class SendingTransport(asyncio.Transport):
    """Wraps `inner`; every byte that is sent is counted here.

    What is gathered counts as not yet sent; a close sends it first, an abort drops it. `cut_off` is called with a
    reason when the peer takes too little: more than `send_buffer_bytes_max` wait, or, while the stall is watched,
    nothing is taken in `send_stall_s`.
    """

    __slots__ = (
        "_cut_off",
        "_flush",
        "_gathered",
        "_gathered_bytes",
        "_loop",
        "_stall_timer",
        "_taken_before",
        "_written",
        "has_ended",
        "inner",
        "send_buffer_bytes_max",
        "send_stall_s",
    )

    def __init__(
        self,
        inner: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        cut_off: Callable[[str], None],
        send_stall_s: float,
        send_buffer_bytes_max: int = sys.maxsize,
    ) -> None:
        self.inner = inner
        self.send_stall_s = send_stall_s
        self.send_buffer_bytes_max = send_buffer_bytes_max
        """The application may raise it for a peer with more results."""
        self.has_ended = False
        """Whether our last message is written."""
        self._loop = loop
        self._cut_off = cut_off
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._flush: asyncio.Handle | None = None
        self._written = 0
        self._taken_before = 0
        self._stall_timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` at the end of this turn of the loop, together with what else is written in it."""
        if self.is_closing():
            return
        self._written += len(data)
        self._gathered.append(bytes(data))
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= GATHERED_BYTES_MAX or self.get_write_buffer_size() > self.send_buffer_bytes_max:
            self.flush()
            if self.get_write_buffer_size() > self.send_buffer_bytes_max and not self.inner.is_closing():
                self._cut_off("send_buffer_full")
        elif self._flush is None:
            self._flush = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand all that is gathered to the wrapped transport."""
        gathered = self._gathered
        self.drop_gathered()
        if gathered and not self.inner.is_closing():
            self.inner.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def drop_gathered(self) -> None:
        """Send nothing of what is gathered."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        self._gathered = []
        self._gathered_bytes = 0

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._gathered_bytes + self.inner.get_write_buffer_size()

    def watch_stall(self) -> None:
        """Something waits to be sent: from now on the peer must take some of it in each `send_stall_s`."""
        if self._stall_timer is None:
            self._taken_before = self._taken
            self._stall_timer = self._loop.call_later(self.send_stall_s, self._check_stall)

    def end_stall(self) -> None:
        """The peer has caught up, or is gone."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    @property
    def _taken(self) -> int:
        return self._written - self.get_write_buffer_size()

    def _check_stall(self) -> None:
        self._stall_timer = None
        if self._taken <= self._taken_before:
            self._cut_off("takes_nothing")
        else:
            self.watch_stall()

    # ---- the end

    def write_eof(self) -> None:
        """End the sending side after what is gathered."""
        self.flush()
        self.inner.write_eof()

    def close(self) -> None:
        """Close when all is sent."""
        self.flush()
        self.inner.close()

    def abort(self) -> None:
        """Cut the connection off at once; what waits to be sent is dropped."""
        self.drop_gathered()
        self.inner.abort()

    # ---- as they are

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.has_ended or self.inner.is_closing()

    def can_write_eof(self) -> bool:
        """Whether the sending side can be ended alone; with TLS it can't."""
        return self.inner.can_write_eof()

    def is_reading(self) -> bool:
        """Whether reading is not paused."""
        return self.inner.is_reading()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        self.inner.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self.inner.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when pause_writing and resume_writing are called."""
        self.inner.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self.inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self.inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that the connection belongs to."""
        return self.inner.get_protocol()
