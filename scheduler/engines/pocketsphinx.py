"""The engine `pocketsphinx`: a small English recogniser; its model is in its wheel, the extra `voxpool[speech]`."""

from __future__ import annotations

import threading
from typing import Any

from voxpool.scheduler.engines.engine import Work
from voxpool.scheduler.engines.wav import SPEECH_RATE_HZ, read_wav
from voxpool.scheduler.errors import ConfigError


class Recogniser:
    """Turns English speech into text. Each thread has a decoder of its own: they aren't made to be shared."""

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError:
            raise ConfigError("the engine pocketsphinx isn't installed; run: pip install 'voxpool[speech]'") from None
        self._decoder_class = Decoder
        self._local = threading.local()

    def __call__(self, work: Work) -> dict[str, Any]:
        """Return the text, the recogniser's confidence (0 to 1) and the duration of a WAV in English."""
        wav = read_wav(work.audio)
        decoder = self._decoder()
        decoder.start_utt()
        decoder.process_raw(wav.as_speech().tobytes(), False, True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return {
            "text": hypothesis.hypstr if hypothesis else "",
            "confidence": round(float(hypothesis.prob), 3) if hypothesis else 0.0,
            "duration_s": round(wav.duration_s, 3),
        }

    def _decoder(self) -> Any:
        decoder = getattr(self._local, "decoder", None)
        if decoder is None:
            decoder = self._decoder_class(samprate=float(SPEECH_RATE_HZ), loglevel="FATAL")
            self._local.decoder = decoder
        return decoder
