"""A message of a WebSocket of which a part has come: its bytes count for all peers, and the rest must come in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxpool.scheduler.web.wire.frame_turns import FramesInTurns


class PartialMessage:
    """Of `socket`; the connection is cut off when the rest stays away."""

    __slots__ = ("_began_s", "_bytes", "_last_s", "_socket", "_timer")

    def __init__(self, socket: FramesInTurns) -> None:
        self._socket = socket
        self._bytes = 0
        self._began_s = self._last_s = socket.loop.time()
        self._timer = self._watch()

    def came(self, size: int) -> None:
        """Another part has come."""
        incoming = self._socket.bounds.incoming
        incoming.bytes += size
        self._bytes += size
        self._last_s = self._socket.loop.time()
        if incoming.is_full:
            self._socket.abort("incoming_full")

    def end(self) -> None:
        """The message is complete, or the connection gone."""
        self._timer.cancel()
        self._socket.bounds.incoming.bytes -= self._bytes

    def _due_s(self) -> float:
        return self._socket.bounds.pace.due_s(self._began_s, self._last_s, self._bytes)

    def _watch(self) -> asyncio.TimerHandle:
        due_s = self._due_s()
        return self._socket.loop.call_at(due_s, self._look, due_s)

    def _look(self, due_s: float) -> None:
        if self._socket.is_held_back:  # this side did not read what may have come
            self._began_s = self._last_s = self._socket.loop.time()
        elif due_s >= self._due_s():
            self._socket.abort("slow_message")
            return
        self._timer = self._watch()
