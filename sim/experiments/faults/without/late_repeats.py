"""A queue that repeats each release by itself, a little later: its first answer may have been lost.

Not a defect as long as an attempt's number is never used again (R23): both sides of that row have it.
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
