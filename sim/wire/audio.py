"""Audio for simulated requests."""

from __future__ import annotations

import struct


def wav(text: str, size: int) -> bytes:
    """Return a WAV file of 16-bit mono at 16 kHz with about `size` bytes of samples, which begin with `text`."""
    samples = text.encode().ljust(max(size, len(text)), b"\0")
    samples = samples[: len(samples) // 2 * 2]
    head = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", len(samples))
    return struct.pack("<4sI4s", b"RIFF", 4 + len(head) + len(samples), b"WAVE") + head + samples
