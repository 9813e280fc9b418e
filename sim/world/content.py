"""What simulated audio and outputs contain, so that a result that belongs to another job or other audio is visible."""

from __future__ import annotations

MARK_BYTES = 80
"""The beginning of the audio that tells it apart; request ids are at most 64 bytes."""


class MarkedAudio(bytes):
    """Audio of `size` bytes, of which only the beginning, its mark, takes memory: the rest would be silence.

    The scheduler never reads audio. It needs its length, and its hash to tell two submits with one request id apart.
    """

    size: int

    def __len__(self) -> int:
        return self.size


def audio_of(request_id: str, size: int) -> bytes:
    """Return audio of `size` bytes that begins with the id of the request."""
    audio = MarkedAudio(request_id.encode()[:size])
    audio.size = size
    return audio


def output_of(job_id: str, audio: bytes | None) -> dict[str, str]:
    """Return the output of simulated work: a function of the job's id, the size of its audio and its beginning."""
    if audio is None:  # an experiment frees it too early
        audio = b""
    mark = audio[:MARK_BYTES].rstrip(b"\0").decode("latin-1")
    return {"job": job_id, "audio": f"{mark} {len(audio)}"}
