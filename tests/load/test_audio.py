"""Audio that contains an order, and an answer that proves that all of it was received."""

from __future__ import annotations

import io
import wave

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from voxpool.loadtest.users import _audio
from voxpool.scheduler.protocol.codec import check_audio


@given(work_s=st.floats(0, 4000), number=st.integers(0, 2**64 - 1), size=st.integers(0, 5000))
def test_the_node_reads_what_the_client_wrote(work_s: float, number: int, size: int) -> None:
    audio = _audio.make(work_s, number, size)
    assert len(audio) == max(size, _audio.BYTES_MIN)
    check_audio(audio, 10_000)
    order = _audio.order_of(audio)
    assert order is not None
    assert abs(order.work_s - work_s) <= 1e-6
    assert order.number == number
    answer = _audio.answer_to(audio, order)
    assert _audio.is_answer(msgspec.to_builtins(answer), answer)


def test_the_audio_is_a_wav_file() -> None:
    """Any player opens it."""
    with wave.open(io.BytesIO(_audio.make(0.1, 1, 16_044))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            1,
            2,
            16_000,
            8000,
        )


def test_a_changed_byte_or_another_job_is_not_the_answer() -> None:
    audio = _audio.make(0.1, 1, 1000)
    wanted = _audio.answer_to(audio, _audio.order_of(audio))
    for wrong in (audio[:-1] + bytes([audio[-1] ^ 1]), audio[:-2], _audio.make(0.1, 2, 1000)):
        assert not _audio.is_answer(msgspec.to_builtins(_audio.answer_to(wrong, _audio.order_of(wrong))), wanted)
    assert not _audio.is_answer(None, wanted)
    assert not _audio.is_answer({"text": "hello"}, wanted)


def test_jobs_of_one_size_differ_and_long_audio_has_filler_to_its_end() -> None:
    assert _audio.make(0, 1, 100)[_audio.BYTES_MIN :] != _audio.make(0, 2, 100)[_audio.BYTES_MIN :]
    long = _audio.make(0, 3, 3 * _audio.FILLER_BYTES)
    assert len(long) == 3 * _audio.FILLER_BYTES
    assert any(long[-100:])


def test_foreign_audio_contains_no_order() -> None:
    """It is answered all the same, without a number."""
    for audio in (b"", b"RIFF" + bytes(200), _audio.make(1, 1, 100)[:50]):
        assert _audio.order_of(audio) is None
        assert _audio.answer_to(audio, None).number == -1


def test_work_beyond_the_maximum_is_clipped() -> None:
    order = _audio.order_of(_audio.make(10_000, 1, 100))
    assert order is not None
    assert order.work_s == _audio.WORK_US_MAX / 1e6
