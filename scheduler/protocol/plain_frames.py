"""The one frame that nearly all traffic consists of: a message in a single frame, which has come in whole.

All else, whether unusual or wrong, is left to the parser of the library: parts of messages, control frames, frames that
have come in part or are too large, reserved bits, lengths that are written longer than they need be.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # that of C, where it is built
from websockets.streams import StreamReader

from voxpool.scheduler.chance import unpredictable_bytes

TEXT, BINARY = 0x81, 0x82
"""The first byte: final, no reserved bit, the opcode (RFC 6455, 5.2)."""


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


def whole_frame(data: bytes, at: int, is_masked: bool, bytes_max: int) -> tuple[bytes, bool, int] | None:
    """Return the message of the frame at `at`, whether it is binary, and where the frame ends; or None."""
    left = len(data) - at
    if left < 2:
        return None
    first, length = data[at], data[at + 1]
    if first != BINARY and first != TEXT:
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
    return apply_mask(message, data[body - 4 : body]) if is_masked else message, first == BINARY, end


def frame_head(length: int, binary: bool, mask_bit: int = 0) -> bytes:
    """Return the head of a final frame of `length` bytes; `mask_bit` is 128 when a mask follows (RFC 6455, 5.2)."""
    first = BINARY if binary else TEXT
    if length < 126:
        return bytes((first, length | mask_bit))
    if length < 65536:
        return struct.pack("!BBH", first, 126 | mask_bit, length)
    return struct.pack("!BBQ", first, 127 | mask_bit, length)


def masked_frame(message: bytes) -> bytes:
    """Return `message` as one binary frame of a client."""
    mask = next(_masks)
    return b"".join((frame_head(len(message), True, 128), mask, apply_mask(message, mask)))


def _fresh_masks() -> Iterator[bytes]:
    """Return masks that nobody can predict, as the RFC asks; a system call each would cost more than the masking."""
    while True:
        block = unpredictable_bytes(4096)
        for at in range(0, len(block), 4):
            yield block[at : at + 4]


_masks = _fresh_masks()
