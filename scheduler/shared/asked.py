"""A job that a client of this scheduler waits for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Asked:
    """It is kept, with its audio, until the job has ended or the client has left: the store may lose data."""

    job_id: str
    pair: str
    audio: str
    audio_name: str
    """The name of the audio in the store; new for each submit of a client, so that nobody removes a later one's."""
    content: str = ""
    expires_ms: int = 0
    attempts_max: int = 5
    is_kept: bool = False
    """Whether the audio was sent to the store."""
    is_accepted: bool = False
