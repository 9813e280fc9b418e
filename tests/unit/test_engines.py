"""The engines on the examples and on invalid audio: their measurements and their failures."""

from __future__ import annotations

import functools
import io
import math
import sys
import wave
from array import array
from pathlib import Path
from typing import Any

import pytest

from voxpool.scheduler.engines import Engine, Work, WorkFailed, open_engine
from voxpool.scheduler.engines.wav import read_wav
from voxpool.scheduler.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "examples"


@functools.cache
def recogniser() -> Engine:
    """The engine with its model, which takes a second to load."""
    return open_engine("pocketsphinx")


def work(audio: bytes) -> Work:
    """Return an attempt with that audio."""
    return Work("j-1", 1, "en:en", audio)


def wav(samples: list[float], rate_hz: int = 16_000, bits: int = 16, channels: int = 1) -> bytes:
    """Return a WAV of samples between -1 and 1."""
    raw = b"".join(
        bytes([round(s * 127) + 128])
        if bits == 8
        else round(s * (2 ** (bits - 1) - 1)).to_bytes(bits // 8, "little", signed=True)
        for s in samples
        for _ in range(channels)
    )
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate_hz)
        file.writeframes(raw)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "duration_s", "loudness_dbfs", "voice_s"),
    [
        ("numbers.wav", 2.17, -20.6, 1.83),
        ("silence.wav", 2.0, None, 0.0),
        ("tone.wav", 1.5, -9.0, 1.5),
    ],
)
def test_measure_returns_length_loudness_and_voice(
    name: str, duration_s: float, loudness_dbfs: float | None, voice_s: float
) -> None:
    output = open_engine("measure")(work((EXAMPLES / name).read_bytes()))
    assert (output["duration_s"], output["loudness_dbfs"], output["voice_s"]) == (duration_s, loudness_dbfs, voice_s)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_all_usual_wav_formats_measure_the_same(bits: int, channels: int, rate_hz: int) -> None:
    samples = [0.5 * math.sin(2 * math.pi * 440 * n / rate_hz) for n in range(rate_hz)]
    output = open_engine("measure")(work(wav(samples, rate_hz, bits, channels)))
    assert output["duration_s"] == 1.0
    assert output["loudness_dbfs"] == pytest.approx(-9.0, abs=0.15)
    assert (output["bits"], output["channels"], output["sample_rate_hz"]) == (bits, channels, rate_hz)


def test_any_rate_is_converted_for_speech() -> None:
    speech = read_wav(wav([0.25] * 44_100, 44_100)).as_speech()
    assert len(speech) == 16_000 and set(speech[10:-10]) == {8192}


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_full_scale_stays_within_16_bits(bits: int) -> None:
    speech = read_wav(wav([1.0] * 40 + [-1.0] * 40, 8_000, bits)).as_speech()
    assert (max(speech), min(speech)) == (32767 if bits > 8 else 32512, -32512 if bits == 8 else -32768 + (bits == 16))


def broken(**changes: Any) -> bytes:
    """Return a WAV with wrong fields in its head."""
    head = bytearray(wav([0.1] * 100))
    for offset, value in changes["at"].items():
        head[offset : offset + len(value)] = value
    return bytes(head)


@pytest.mark.parametrize(
    "audio",
    [
        b"",
        b"RIFF",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"no wav at all",
        wav([0.1] * 100)[:30],
        broken(at={24: b"\x00\x00\x00\x00"}),  # a rate of 0
        broken(at={22: b"\x00\x00"}),  # no channels
        broken(at={20: b"\x55\x00"}),  # MP3 in a WAV
        broken(at={34: b"\x40\x00"}),  # 64 bits
    ],
)
def test_invalid_audio_is_a_final_error(audio: bytes) -> None:
    with pytest.raises(WorkFailed) as failed:
        open_engine("measure")(work(audio))
    assert failed.value.reason == "bad_audio" and not failed.value.retryable
    assert failed.value.detail


def test_a_wav_that_is_shorter_than_declared_is_read_to_its_end() -> None:
    lying = broken(at={40: b"\xff\xff\xff\x7f"})
    assert open_engine("measure")(work(lying))["duration_s"] == pytest.approx(100 / 16_000, abs=0.001)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("numbers.wav", "one two three four five"),
        ("station.wav", "where is the railway station"),
        ("greeting.wav", "how are you today"),
        ("morning.wav", "good morning"),
    ],
)
def test_pocketsphinx_recognises_the_examples(name: str, text: str) -> None:
    assert recogniser()(work((EXAMPLES / name).read_bytes()))["text"] == text


def test_a_missing_extra_is_reported_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(ConfigError, match=r"pip install 'voxpool\[speech\]'"):
        open_engine("pocketsphinx")


def test_sleep_ends_early_when_its_attempt_is_cancelled() -> None:
    cancelled = work(array("h", [0]).tobytes())
    cancelled.cancelled.set()
    with pytest.raises(WorkFailed, match="cancelled"):
        open_engine("sleep:60")(cancelled)
    assert open_engine("sleep:0")(work(b"abc")) == {"slept_s": 0.0, "audio_bytes": 3}


@pytest.mark.parametrize(
    "spec", ["", "whisper", "sleep", "sleep:", "sleep:long", "sleep:-1", "sleep:nan", "measure:x", "pocketsphinx:1"]
)
def test_an_unknown_engine_is_a_clear_error(spec: str) -> None:
    with pytest.raises(ConfigError, match="engine"):
        open_engine(spec)
