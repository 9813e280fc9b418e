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
    prefer: str = ""
    """The scheduler that should run it if it has room: it has the node of its session."""
    turn: str = ""
    """Whose turn it takes when the order is fair (calls.turn_of)."""
    by: str = ""
    """The scheduler that has run it, once it has ended."""
    expires_ms: int = 0
    attempts_max: int = 5
    details: str = ""
    """What the record of the job keeps beside, as `meta` after the name of the audio (details.py)."""
    is_kept: bool = False
    """Whether the audio was sent to the store."""
    is_accepted: bool = False

    @property
    def meta(self) -> str:
        """Return the field `meta` of its record."""
        return f"{self.audio_name} {self.details}" if self.details else self.audio_name


def audio_s(settings: Settings, lease_s: float, attempts_max: int) -> int:
    """Return how long the audio of a job lives whose schedulers have all died: above its waiting and its attempts.

    `lease_s` is that of a scheduler: the loss of one is noticed so much later.
    """
    attempt_s = settings.waiting_timeout_s + settings.dispatch_timeout_s + settings.backoff_max_s + lease_s
    return math.ceil(attempts_max * attempt_s + settings.store_patience_s)
