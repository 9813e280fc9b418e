"""Models the scheduler's event loop as a single server: messages that arrive while it is busy wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voxpool.sim.chance.distributions import Draw
from voxpool.sim.virtual_time.loop import VirtualLoop


class BusyLoop:
    """Handles messages one after the other; each takes the next draw of `message_s`."""

    def __init__(self, loop: VirtualLoop, message_s: Draw) -> None:
        self._loop = loop
        self._env = loop.env
        self._message_s = message_s
        self._free_at = 0.0

    def take(self, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)`, the effect of a message, when the loop has handled all messages before it and this one."""
        now, free_at = self._env._now, self._free_at
        self._free_at = (now if now > free_at else free_at) + self._message_s()
        self._loop.at(self._free_at, fn, *args)
