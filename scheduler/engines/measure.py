"""The engine `measure`: how long, how loud and how much voice. No model, no download, the same answer everywhere."""

from __future__ import annotations

from typing import Any

import webrtcvad

from voxpool.scheduler.engines.engine import Work
from voxpool.scheduler.engines.sleep import Sleeper
from voxpool.scheduler.engines.wav import SPEECH_RATE_HZ, Wav, read_wav

FRAME_MS = 30
AGGRESSIVENESS = 2
"""The mode of WebRTC's voice activity detector: 0 (least strict) to 3."""


def measure(work: Work) -> dict[str, Any]:
    """Return duration_s, loudness_dbfs (RMS against full scale; None for digital silence) and voice_s of a WAV."""
    wav = read_wav(work.audio)
    return {
        "duration_s": round(wav.duration_s, 3),
        "loudness_dbfs": wav.loudness_dbfs(),
        "voice_s": voice_s(wav),
        "sample_rate_hz": wav.rate_hz,
        "channels": wav.channels,
        "bits": wav.bits,
    }


class SlowMeasure:
    """The same, `seconds` longer: for tests of what happens in the middle of a job."""

    def __init__(self, seconds: float) -> None:
        self._sleep = Sleeper(seconds)

    def __call__(self, work: Work) -> dict[str, Any]:
        """Wait, then measure."""
        self._sleep(work)
        return measure(work)


def voice_s(wav: Wav) -> float:
    """Return the seconds of the 30 ms frames in which WebRTC's detector finds voice."""
    detector = webrtcvad.Vad(AGGRESSIVENESS)
    pcm = wav.as_speech().tobytes()
    size = SPEECH_RATE_HZ * FRAME_MS // 1000 * 2
    frames = (pcm[start : start + size] for start in range(0, len(pcm) - size + 1, size))
    voiced = sum(bool(detector.is_speech(frame, SPEECH_RATE_HZ)) for frame in frames)
    return round(voiced * FRAME_MS / 1000, 2)
