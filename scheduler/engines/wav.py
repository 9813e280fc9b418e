"""Reads a WAV of the usual kinds into samples. Wrong audio is a final WorkFailed: another node would fail, too."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxpool.scheduler.engines.engine import WorkFailed

SPEECH_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Wav:
    """Decoded audio: one channel, samples from -1 to 1."""

    samples: npt.NDArray[np.float32]
    rate_hz: int
    channels: int
    bits: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz

    def as_speech(self) -> npt.NDArray[np.int16]:
        """Return the samples as 16-bit integers at 16 kHz, what recognisers and voice detectors take."""
        samples = self.samples
        if self.rate_hz != SPEECH_RATE_HZ and len(samples):
            count = round(len(samples) * SPEECH_RATE_HZ / self.rate_hz)
            at = np.arange(count, dtype=np.float64) * (self.rate_hz / SPEECH_RATE_HZ)
            samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
        return np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)


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
    samples = _to_floats(raw, width)
    if channels > 1:
        samples = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return Wav(samples, rate_hz, channels, 8 * width)


def _to_floats(raw: bytes, width: int) -> npt.NDArray[np.float32]:
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    if width == 2:
        return np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(2**15)
    if width == 4:
        return (np.frombuffer(raw, "<i4") / 2**31).astype(np.float32)
    padded = np.zeros((len(raw) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return (padded.view("<i4").reshape(-1) / 2**31).astype(np.float32)
