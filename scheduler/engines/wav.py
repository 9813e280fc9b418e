"""Reads a WAV of the usual kinds into samples. Wrong audio is a WorkFailed that no other node could do better.

The module uses the standard library only, so that the engine `measure` adds nothing large to a server's install.
"""

from __future__ import annotations

import io
import math
import sys
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from operator import mul

from voxpool.scheduler.engines.engine import WorkFailed

SPEECH_RATE_HZ = 16_000
_SPEECH_FULL_SCALE = 2**15


@dataclass(frozen=True, slots=True)
class Wav:
    """Decoded audio in one channel: integer samples, each from -full_scale to full_scale."""

    samples: array[int]
    full_scale: int
    rate_hz: int
    channels: int
    bits: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz

    def loudness_dbfs(self) -> float | None:
        """Return the RMS level in dB against full scale, or None when every sample is zero."""
        squares = sum(map(mul, self.samples, self.samples))
        if squares == 0:
            return None
        return round(10 * math.log10(squares / len(self.samples) / self.full_scale**2), 1)

    def as_speech(self) -> array[int]:
        """Return the samples as 16-bit integers at 16 kHz, which recognisers and voice detectors take."""
        if self.rate_hz == SPEECH_RATE_HZ and self.full_scale == _SPEECH_FULL_SCALE:
            return array("h", self.samples)
        scale = _SPEECH_FULL_SCALE / self.full_scale
        at_rate = self.samples if self.rate_hz == SPEECH_RATE_HZ else _interpolated(self.samples, self.rate_hz)
        largest = _SPEECH_FULL_SCALE - 1
        return array("h", (min(largest, round(sample * scale)) for sample in at_rate))


def read_wav(audio: bytes) -> Wav:
    """Decode PCM of 8, 16, 24 or 32 bits, averaging its channels. Raises WorkFailed(bad_audio)."""
    try:
        with wave.open(io.BytesIO(audio)) as file:
            rate_hz, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            if not (1_000 <= rate_hz <= 384_000 and 1 <= channels <= 64 and 1 <= width <= 4):
                raise WorkFailed("bad_audio", f"{rate_hz} Hz, {channels} channels, {8 * width} bits: unusual WAV")
            raw = file.readframes(min(file.getnframes(), len(audio)))
    except (wave.Error, EOFError, ValueError) as error:
        raise WorkFailed("bad_audio", f"not a WAV that can be read: {str(error) or 'it ends too early'}") from None
    raw = raw[: len(raw) // (width * channels) * (width * channels)]
    samples, full_scale = _integers(raw, width)
    if channels > 1:  # the sum of the channels against the sum of their full scales is their average
        samples = array("q", map(sum, zip(*(samples[first::channels] for first in range(channels)), strict=True)))
        full_scale *= channels
    return Wav(samples, full_scale, rate_hz, channels, 8 * width)


def _integers(raw: bytes, width: int) -> tuple[array[int], int]:
    """Return little-endian samples of `width` bytes as integers, and the value of full scale."""
    if width == 1:
        return array("h", (byte - 128 for byte in raw)), 2**7
    if width == 3:  # as the three upper bytes of four
        padded = bytearray(len(raw) // 3 * 4)
        for byte in range(3):
            padded[byte + 1 :: 4] = raw[byte::3]
        raw = bytes(padded)
    samples = array("h" if width == 2 else "i", raw)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples, 2**15 if width == 2 else 2**31


def _interpolated(samples: array[int], rate_hz: int) -> Iterator[float]:
    """Yield the samples at 16 kHz, each from its two neighbours in a straight line."""
    last = len(samples) - 1
    step = rate_hz / SPEECH_RATE_HZ
    for number in range(round(len(samples) / step)):
        at = number * step
        left = int(at)
        if left >= last:
            yield samples[last]
        else:
            yield samples[left] + (samples[left + 1] - samples[left]) * (at - left)
