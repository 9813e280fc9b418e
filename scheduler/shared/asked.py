"""A job that a client of this scheduler waits for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from voxpool.scheduler.config import Settings


@dataclass(slots=True, eq=False)
class Asked:
    """It is kept, with its audio, until the job has ended or the client has left: the store may lose data."""

    job_id: str
    pair: str
    audio: bytes
    audio_name: str
    """The name of the audio in the store; new for each submit of a client, so that nobody removes a later one's."""
    content: str = ""
    expires_ms: int = 0
    attempts_max: int = 5
    is_kept: bool = False
    """Whether the audio was sent to the store."""
    is_accepted: bool = False


def audio_s(settings: Settings, lease_s: float, attempts_max: int) -> int:
    """Return how long the audio of a job lives whose schedulers have all died: above its waiting and its attempts.

    `lease_s` is that of a scheduler: the loss of one is noticed so much later.
    """
    attempt_s = settings.waiting_timeout_s + settings.dispatch_timeout_s + settings.backoff_max_s + lease_s
    return math.ceil(attempts_max * attempt_s + settings.store_patience_s)
