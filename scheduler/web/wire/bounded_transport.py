"""The transport of one connection as its protocol sees it: every byte that is sent is counted here.

It owns two bounds: what may wait to be sent and for how long (the stall rule), and what may still come after our last
message. It knows neither HTTP nor WebSockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from voxpool.scheduler.web.wire.allowance import DROP_KNOWN_S, DROP_S, DROP_STEP_S, DROPPED_KNOWN_BYTES_MAX, Bounds


class BoundedTransport(asyncio.Transport):
    """Wraps `inner`. `cut_off` is called with a reason when the peer takes too little of what it is sent."""

    __slots__ = (
        "_bounds",
        "_cut_off",
        "_drop_timer",
        "_dropped",
        "_ends_early",
        "_loop",
        "_resume_timer",
        "_stall_timer",
        "_taken_before",
        "_written",
        "has_ended",
        "inner",
        "is_known",
        "send_buffer_bytes_max",
    )

    def __init__(
        self,
        inner: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds,
        cut_off: Callable[[str], None],
        ends_early: Callable[[], bool] | None = None,
    ) -> None:
        self.inner = inner
        self.send_buffer_bytes_max = bounds.send_buffer_bytes_max
        """The application may raise it for a peer with more results."""
        self.has_ended = False
        """Whether our last message is written; what still comes belongs to `drop`."""
        self.is_known = False
        """Whether the peer is known, and may send more after our last message."""
        self._ends_early = ends_early
        """Returns at a close whether the peer is in the middle of sending, so that the close must wait for it."""
        self._loop = loop
        self._bounds = bounds
        self._cut_off = cut_off
        self._written = 0
        self._taken_before = 0
        self._dropped = 0
        self._stall_timer: asyncio.TimerHandle | None = None
        self._drop_timer: asyncio.TimerHandle | None = None
        self._resume_timer: asyncio.TimerHandle | None = None

    # ---- sending

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; the peer is cut off when more than `send_buffer_bytes_max` waits."""
        if self.has_ended:
            return
        self._written += len(data)
        self.inner.write(data)
        if self.inner.get_write_buffer_size() > self.send_buffer_bytes_max and not self.inner.is_closing():
            self._cut_off("send_buffer_full")

    def watch_stall(self) -> None:
        """Something waits to be sent: from now on the peer must take some of it in each `send_stall_s`."""
        if self._stall_timer is None:
            self._taken_before = self._taken
            self._stall_timer = self._loop.call_later(self._bounds.send_stall_s, self._check_stall)

    def end_stall(self) -> None:
        """The peer has caught up."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    @property
    def _taken(self) -> int:
        return self._written - self.inner.get_write_buffer_size()

    def _check_stall(self) -> None:
        self._stall_timer = None
        if self._taken <= self._taken_before:
            self._cut_off("takes_nothing")
        else:
            self.watch_stall()

    # ---- the end

    def close(self) -> None:
        """Close when all is sent; a peer in the middle of sending may go on for a time; that is dropped."""
        if self.has_ended:
            return
        if self._ends_early is not None and self._ends_early():
            self.end_sending()
        else:
            self.inner.close()

    def end_sending(self) -> None:
        """Our last message is written: end our side; drop what comes until the peer closes or a bound is reached."""
        if self.has_ended or self.inner.is_closing():
            return
        self.has_ended = True
        if self.inner.can_write_eof():
            self.inner.write_eof()
        self.inner.resume_reading()
        seconds = DROP_KNOWN_S if self.is_known else DROP_S
        self._drop_timer = self._loop.call_later(seconds, self.inner.abort)

    def drop(self, size: int) -> None:
        """`size` bytes have come after our last message; the next ones are read a little later."""
        self._dropped += size
        if self._dropped > (DROPPED_KNOWN_BYTES_MAX if self.is_known else self._bounds.dropped_bytes_max):
            self.inner.abort()
        elif not self.is_known and self._resume_timer is None:
            self.inner.pause_reading()
            self._resume_timer = self._loop.call_later(DROP_STEP_S, self._read_on)

    def stop(self) -> None:
        """The connection is gone: no timer stays behind."""
        for timer in (self._stall_timer, self._drop_timer, self._resume_timer):
            if timer is not None:
                timer.cancel()
        self._stall_timer = self._drop_timer = self._resume_timer = None

    def _read_on(self) -> None:
        self._resume_timer = None
        if not self.inner.is_closing():
            self.inner.resume_reading()

    # ---- as they are

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.has_ended or self.inner.is_closing()

    def abort(self) -> None:
        """Cut the connection off at once."""
        self.inner.abort()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        if not self.has_ended:
            self.inner.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self.has_ended:
            self.inner.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self.inner.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when pause_writing and resume_writing are called."""
        self.inner.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self.inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self.inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that the connection belongs to."""
        return self.inner.get_protocol()
