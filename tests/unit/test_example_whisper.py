"""examples/whisper_gpu.py with a played model: all of it but the library's own model and tokenizer."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.e2e.processes import EXAMPLES, TONE
from voxpool.scheduler.sdk import SetupFailed, Work, WorkFailed
from voxpool.sim.wire.audio import wav

FRAMES = 3000


class PlayedWhisper:
    """Has what the example uses of faster_whisper.WhisperModel; the text of a recording is its loudness."""

    hf_tokenizer = "a tokenizer"
    max_length = 448

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.prompts: list[list[str]] = []
        self.model = SimpleNamespace(is_multilingual=True, generate=self._generate)
        self.feature_extractor = self._features
        self.feature_extractor.__func__.nb_max_frames = FRAMES  # type: ignore[attr-defined]

    def _features(self, samples: Any) -> Any:
        assert samples.dtype == np.float32 and np.abs(samples).max() <= 1
        return np.full((128, len(samples) // 160 + 1), np.abs(samples).max(), dtype=np.float32)

    def get_prompt(self, tokenizer: Any, previous: list[int], without_timestamps: bool) -> list[str]:
        assert previous == [] and without_timestamps
        return [tokenizer.task, tokenizer.language]

    def encode(self, features: Any) -> Any:
        self.batches.append(features.shape)
        return features

    def _generate(self, encoded: Any, prompts: list[list[str]], **options: Any) -> list[Any]:
        assert options["max_length"] == self.max_length and len(prompts) == len(encoded)
        self.prompts.append(prompts[0])
        loudest = [float(one.max()) for one in encoded]
        return [SimpleNamespace(sequences_ids=[[loud]], no_speech_prob=0.0 if loud else 0.9) for loud in loudest]


class PlayedTokenizer:
    def __init__(self, tokenizer: Any, multilingual: bool, *, task: str, language: str) -> None:
        assert (tokenizer, multilingual) == (PlayedWhisper.hf_tokenizer, True)
        self.task, self.language = task, language

    def decode(self, ids: list[float]) -> str:
        return f" loudness {ids[0]:.1f} "


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example as a module, with the library that it imports when it works."""
    library, tokenizers = ModuleType("faster_whisper"), ModuleType("faster_whisper.tokenizer")
    tokenizers.Tokenizer = PlayedTokenizer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", library)
    monkeypatch.setitem(sys.modules, "faster_whisper.tokenizer", tokenizers)
    spec = importlib.util.spec_from_file_location("whisper_gpu", Path(EXAMPLES, "whisper_gpu.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


def work(number: int, audio: bytes = TONE, pair: str = "zh:en") -> Work:
    return Work(f"j{number}", 1, pair, audio)


def test_a_batch_is_one_call_of_the_model(example: Any) -> None:
    recogniser = example.Recogniser(PlayedWhisper)
    recogniser.load()
    model = recogniser.model
    assert model.batches == [(1, 128, FRAMES)], "it has worked once"
    outcomes = recogniser.recognise([work(1), work(2, wav("", 32_000)), work(3)])
    assert [outcome["text"] for outcome in outcomes] == ["loudness 0.5", "", "loudness 0.5"]
    assert [outcome["duration_s"] for outcome in outcomes] == [1.5, 1.0, 1.5]
    assert model.batches[1:] == [(3, 128, FRAMES)] and model.prompts[-1] == ["translate", "zh"]
    recogniser.recognise([work(1, pair="de:de")])
    assert model.prompts[-1] == ["transcribe", "de"]


def test_audio_that_is_no_use_fails_alone(example: Any) -> None:
    recogniser = example.Recogniser(PlayedWhisper)
    recogniser.load()
    bad = [b"RIFF", wav("", 0), wav("", 31 * 32_000)]
    outcomes = recogniser.recognise([work(0), *(work(number, audio) for number, audio in enumerate(bad, 1))])
    assert outcomes[0]["text"] == "loudness 0.5"
    assert all(isinstance(outcome, WorkFailed) for outcome in outcomes[1:])
    assert [outcome.reason for outcome in outcomes[1:]] == ["bad_audio", "bad_duration", "bad_duration"]
    batches = len(recogniser.model.batches)
    assert [outcome.reason for outcome in recogniser.recognise([work(1, b"RIFF")])] == ["bad_audio"]
    assert len(recogniser.model.batches) == batches, "nothing is left for the model"


async def test_the_node_loads_the_model_first_and_gets_its_jobs_in_batches(example: Any) -> None:
    node = example.transcribe.node("ws://127.0.0.1:1", node_id="n")
    assert node.slots == 2 * example.BATCH_MAX
    with pytest.raises(SetupFailed, match="cannot import name 'WhisperModel'"):
        await node.run()  # the library is there without its model
    example.recogniser._make_model = PlayedWhisper
    node = example.transcribe.node("ws://127.0.0.1:1", node_id="n")
    try:
        await node._calls.call(example.transcribe.setup)
        jobs = [node._calls.output_of(work(number)) for number in range(5)]
        assert {output["text"] for output in await asyncio.gather(*jobs)} == {"loudness 0.5"}
        assert example.recogniser.model.batches[1:] == [(5, 128, FRAMES)]
    finally:
        await node._calls.close()
