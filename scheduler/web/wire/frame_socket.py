"""What a door needs of one WebSocket connection: PeerSocket in production, a scripted one in the simulation of R20."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Received(NamedTuple):
    """One message: its bytes and whether the frame was binary."""

    data: bytes
    binary: bool


OnFrame = Callable[[bytes, bool], bool]
"""Takes a message (data, binary) and returns True; or returns False and has not taken it."""


class FrameSocket(Protocol):
    """One connection, as frames. Calls on a closed one do nothing."""

    send_buffer_bytes_max: int
    """Bytes that may wait to be sent; past it the peer is cut off."""
    cut_off: str
    """Why the connection was cut off, if it was."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait to be sent."""

    @property
    def peer(self) -> str:
        """The other end's address, for log lines."""

    @property
    def peer_said_goodbye(self) -> bool:
        """Whether the other end closed properly."""

    def send_frame(self, data: bytes, binary: bool) -> None:
        """Send one message. Never waits."""

    def now_known(self) -> None:
        """The peer is known: from now on it may send messages as large as its door takes."""

    def serve(self, on_frame: OnFrame) -> None:
        """Pass messages to `on_frame` as they come, until it refuses one; from then on they come by `next_frame`."""

    async def next_frame(self) -> Received | None:
        """Return the next message that `serve` has not taken, or None when the connection has ended."""

    async def answers(self, timeout_s: float) -> bool:
        """Send a ping and return whether its pong comes within `timeout_s`."""

    def close_with(self, code: int, reason: str) -> None:
        """Close the connection."""

    def abort(self, reason: str) -> None:
        """Cut the connection off."""
