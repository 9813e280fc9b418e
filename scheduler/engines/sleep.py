"""An engine that only waits: to try out a scheduler without real work."""

from __future__ import annotations

from typing import Any

from voxpool.scheduler.engines.engine import Work, WorkFailed


class Sleeper:
    """Waits `seconds`, or until the attempt is cancelled, and returns how much audio it was given."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, work: Work) -> dict[str, Any]:
        """Wait and return."""
        if work.cancelled.wait(self.seconds):
            raise WorkFailed("cancelled")
        return {"slept_s": self.seconds, "audio_bytes": len(work.audio)}
