"""An engine that only takes its time: for trying out a scheduler without real work."""

from __future__ import annotations

import math
from typing import Any

from scheduler.engines.engine import Work, WorkFailed
from scheduler.errors import ConfigError


class Sleeper:
    """Waits `seconds`, or until the attempt is cancelled, and returns how much audio it was given."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @classmethod
    def parse(cls, text: str) -> Sleeper:
        """Return the engine for the part after `sleep:`. Raises ConfigError."""
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= 86_400:
            raise ConfigError(f"engine sleep:{text}: write the seconds after the colon, such as sleep:0.2")
        return cls(seconds)

    def __call__(self, work: Work) -> dict[str, Any]:
        """Do nothing for a while."""
        if work.cancelled.wait(self.seconds):
            raise WorkFailed("cancelled")
        return {"slept_s": self.seconds, "audio_bytes": len(work.audio)}
