"""A queue that repeats each release a little later, as after a lost answer.

This is harmless while an attempt number is never reused (R23): both sides of that scenario use it.
"""

from __future__ import annotations

import asyncio

from voxpool.scheduler.core.script_queue import ScriptQueue

REPEAT_S = 0.1


class RepeatsReleases(ScriptQueue):
    """Each release is sent a second time after REPEAT_S."""

    def release(self, reservation: str) -> None:
        super().release(reservation)
        asyncio.get_running_loop().call_later(REPEAT_S, super().release, reservation)
