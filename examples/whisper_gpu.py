"""A worker node with Whisper on a GPU: one call of the model for up to eight jobs of a language pair.

    pip install voxpool faster-whisper
    WHISPER_MODEL=large-v3 python examples/whisper_gpu.py --id gpu-1 --url http://127.0.0.1:5010

WHISPER_MODEL is a name or the folder of a converted model, WHISPER_DEVICE is `cuda`, `cpu` or `auto`, WHISPER_COMPUTE
is float16, int8_float16, … Pairs into English from another language are translated, pairs of one language transcribed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from voxpool import Work, WorkFailed, worker
from voxpool.scheduler.engines.wav import read_wav

PAIRS = ("en:en", "zh:zh", "zh:en", "de:de", "de:en", "fr:fr", "fr:en", "es:es", "es:en")
BATCH_MAX = 8
SECONDS_MAX = 30.0
"""The length of audio that Whisper sees at a time; a longer recording is refused."""
NO_SPEECH = 0.6
"""Above this probability of no speech the text is dropped: Whisper invents words for silence."""


def load_model() -> Any:
    """Load the model, from the hub or from a folder; seconds to minutes."""
    from faster_whisper import WhisperModel

    return WhisperModel(
        os.environ.get("WHISPER_MODEL", "large-v3"),
        device=os.environ.get("WHISPER_DEVICE", "auto"),
        compute_type=os.environ.get("WHISPER_COMPUTE", "default"),
    )


class Recogniser:
    """Whisper for batches of jobs. `load` makes the model; tests give a function that makes another one."""

    def __init__(self, make_model: Callable[[], Any] = load_model) -> None:
        self._make_model = make_model
        self.model: Any = None

    def load(self) -> None:
        """Load the model and let it work once, so that the first job does not wait for the GPU's kernels."""
        self.model = self._make_model()
        self._texts([self._features([0.0] * 16_000)], "en:en")

    def recognise(self, works: Sequence[Work]) -> list[Any]:
        """Return text and seconds for each of `works`, which have one pair, or WorkFailed for audio that is no use."""
        outcomes: list[Any] = [self._heard(work) for work in works]
        good = [at for at, outcome in enumerate(outcomes) if not isinstance(outcome, WorkFailed)]
        if good:
            texts = self._texts([outcomes[at][0] for at in good], works[0].pair)
            for at, text in zip(good, texts, strict=True):
                outcomes[at] = {"text": text, "duration_s": round(outcomes[at][1], 3)}
        return outcomes

    def _heard(self, work: Work) -> Any:
        """Return the features and the seconds of the audio, or why it can't be recognised."""
        try:
            wav = read_wav(work.audio)
        except WorkFailed as failed:
            return failed
        if not 0 < wav.duration_s <= SECONDS_MAX:
            return WorkFailed("bad_duration", f"{wav.duration_s:.1f} s of audio: send up to {SECONDS_MAX:g} s")
        return self._features([sample / 32768 for sample in wav.as_speech()]), wav.duration_s

    def _features(self, samples: Sequence[float]) -> Any:
        """Return the log-mel spectrogram of 30 s, as the encoder takes it."""
        import numpy as np

        features = self.model.feature_extractor(np.asarray(samples, dtype=np.float32))[..., :-1]
        missing = self.model.feature_extractor.nb_max_frames - features.shape[-1]
        return np.pad(features, [(0, 0), (0, max(0, missing))])[..., : self.model.feature_extractor.nb_max_frames]

    def _texts(self, features: list[Any], pair: str) -> list[str]:
        """Return the text of each recording, by one call of the encoder and one of the decoder."""
        import numpy as np
        from faster_whisper.tokenizer import Tokenizer

        source, _, target = pair.partition(":")
        is_multilingual = self.model.model.is_multilingual
        task = "transcribe" if source == target else "translate"
        tokenizer = Tokenizer(self.model.hf_tokenizer, is_multilingual, task=task, language=source)
        prompt = self.model.get_prompt(tokenizer, [], without_timestamps=True)
        results = self.model.model.generate(
            self.model.encode(np.stack(features)),
            [prompt] * len(features),
            beam_size=5,
            max_length=self.model.max_length,
            return_no_speech_prob=True,
        )
        return [
            "" if result.no_speech_prob > NO_SPEECH else tokenizer.decode(result.sequences_ids[0]).strip()
            for result in results
        ]


recogniser = Recogniser()


@worker.batch(pairs=PAIRS, max=BATCH_MAX, gather_ms=10, setup=recogniser.load)
def transcribe(works: list[Work]) -> list[Any]:
    """Recognise speech with Whisper, up to eight recordings at a time."""
    return recogniser.recognise(works)


if __name__ == "__main__":
    transcribe.main()
