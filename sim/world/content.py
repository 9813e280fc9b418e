"""What simulated audio and outputs contain, so that a result that belongs to another job or other audio is visible."""

from __future__ import annotations

MARK_BYTES = 80
"""The beginning of the audio that tells it apart; request ids are at most 64 bytes."""


def audio_of(request_id: str, size: int) -> bytes:
    """Return `size` bytes that begin with the id of the request."""
    return request_id.encode()[:size].ljust(size, b"\0")


def output_of(job_id: str, audio: bytes | None) -> dict[str, str]:
    """Return the output of simulated work: a function of the job's id, the size of its audio and its beginning."""
    audio = audio or b""  # an experiment frees it too early
    mark = audio[:MARK_BYTES].rstrip(b"\0").decode("latin-1")
    return {"job": job_id, "audio": f"{mark} {len(audio)}"}
