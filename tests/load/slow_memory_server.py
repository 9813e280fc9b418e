"""A leaky scheduler whose memory takes long to read: `python -m tests.load.slow_memory_server SECONDS BYTES serve …`.

Each answer of GET /v1/debug/memory comes SECONDS later, as on a busy machine; the rest is `tests.load.leaky_server`.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from typing import Any

from voxpool.scheduler.web.debug import DebugDoor

if __name__ == "__main__":
    pause_s = float(sys.argv.pop(1))
    at_once = DebugDoor.memory

    async def memory(door: DebugDoor, request: Any) -> Any:
        """Read at once, answer late."""
        answer = await at_once(door, request)
        await asyncio.sleep(pause_s)
        return answer

    DebugDoor.memory = memory  # type: ignore[assignment, method-assign]
    runpy.run_module("tests.load.leaky_server", run_name="__main__")
