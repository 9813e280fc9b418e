"""The unfinished jobs of each key under the order `fair`: a key may have its part of the jobs and of the audio. Pure.

The part is the weight of the key times the room that is left (fair.py): no quota has to be set, and a key that takes
much always leaves room for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.core.jobs.reasons import SHARE
from voxpool.scheduler.errors import Rejected

if TYPE_CHECKING:
    from voxpool.scheduler.core.jobs.job_table import JobTable


class Unfinished:
    """What one key has in the table."""

    __slots__ = ("audio_bytes", "jobs")

    def __init__(self) -> None:
        self.jobs = 0
        self.audio_bytes = 0


class KeyRooms:
    """Counts the unfinished jobs with a share; a key without one is forgotten."""

    def __init__(self, table: JobTable) -> None:
        self._table = table
        self._of: dict[str, Unfinished] = {}

    def __len__(self) -> int:
        return len(self._of)

    def check(self, share: Share, audio_bytes: int) -> None:
        """Raise Rejected when the key has its part of the jobs or of the audio already.

        Without tokens and keys all jobs have the key "", which may take all of the room.
        """
        own = self._of.get(share.key)
        if own is None or not share.key:
            return
        table = self._table
        if own.jobs >= share.weight * (table.jobs_max - table.unfinished):
            detail = f"{own.jobs} jobs of this key are unfinished, its part of jobs_max = {table.jobs_max}"
            raise Rejected(SHARE, detail, table.retry_after_ms)
        if own.audio_bytes + audio_bytes > share.weight * (table.audio_total_bytes_max - table.audio_bytes):
            detail = f"the audio of this key has its part of audio_total_bytes_max = {table.audio_total_bytes_max}"
            raise Rejected(SHARE, detail, table.retry_after_ms)

    def accepted(self, share: Share, audio_bytes: int) -> None:
        """A job was accepted."""
        own = self._of.get(share.key)
        if own is None:
            own = self._of[share.key] = Unfinished()
        own.jobs += 1
        own.audio_bytes += audio_bytes

    def ended(self, share: Share, audio_bytes: int) -> None:
        """A job has ended."""
        own = self._of[share.key]
        own.jobs -= 1
        own.audio_bytes -= audio_bytes
        if not own.jobs:
            del self._of[share.key]
