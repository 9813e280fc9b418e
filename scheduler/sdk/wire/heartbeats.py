"""The heartbeats of a worker: one connection at a time has them, at the interval of its scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxpool.scheduler.protocol.messages import Heartbeat, ToNode
from voxpool.scheduler.sdk.wire.connection import Connection


class Heartbeats:
    """Sends what `beat` returns until `stop`; `every` sets connection and interval."""

    def __init__(self, beat: Callable[[], Heartbeat]) -> None:
        self._beat = beat
        self._task: asyncio.Task[None] | None = None
        self._every_s = 0.0

    def every(self, connection: Connection[ToNode], every_s: float) -> None:
        """Send over `connection` every `every_s`; the same interval again moves no beat."""
        if self._task is not None:
            if self._every_s == every_s:
                return
            self._task.cancel()
        self._every_s = every_s
        self._task = asyncio.create_task(self._send(connection, every_s))

    async def stop(self) -> None:
        """The connection has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _send(self, connection: Connection[ToNode], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await connection.send(self._beat())
