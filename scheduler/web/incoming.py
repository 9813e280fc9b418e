"""What has come in part: the bytes of all peers together, and for a message of a WebSocket the time that the rest has.

A part can be as large as the whole less one byte, and neither the bound on the audio of jobs, which counts what was
accepted, nor that on connections knows of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.web.peer_socket import PeerSocket


class Incoming:
    """Bytes of bodies and messages that have come in part, of all peers; full at `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self.bytes_max = bytes_max

    @property
    def is_full(self) -> bool:
        """Whether nobody may send more before others are done."""
        return self.bytes > self.bytes_max


class PartialMessage:
    """A message of which a part has come; the connection is cut off when the rest stays away."""

    __slots__ = ("_began_s", "_bytes", "_last_s", "_socket", "_timer")

    def __init__(self, socket: PeerSocket) -> None:
        self._socket = socket
        self._bytes = 0
        self._began_s = self._last_s = socket.loop.time()
        self._timer = self._watch()

    def came(self, size: int) -> None:
        """Another part has come."""
        incoming = self._socket.limits.incoming
        incoming.bytes += size
        self._bytes += size
        self._last_s = self._socket.loop.time()
        if incoming.is_full:
            self._socket.abort("incoming_full")

    def end(self) -> None:
        """The message is complete, or the connection gone."""
        self._timer.cancel()
        self._socket.limits.incoming.bytes -= self._bytes

    def _due_s(self) -> float:
        return self._socket.limits.pace.due_s(self._began_s, self._last_s, self._bytes)

    def _watch(self) -> asyncio.TimerHandle:
        due_s = self._due_s()
        return self._socket.loop.call_at(due_s, self._look, due_s)

    def _look(self, due_s: float) -> None:
        if self._socket.read_paused:  # it is we who did not take what may have come
            self._began_s = self._last_s = self._socket.loop.time()
        elif due_s >= self._due_s():
            self._socket.abort("slow_message")
            return
        self._timer = self._watch()
