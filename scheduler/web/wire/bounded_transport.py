"""The transport of one connection as its protocol sees it: what is sent is bounded, and what comes after the end.

It knows neither HTTP nor WebSockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxpool.scheduler.protocol.framing import SendingTransport
from voxpool.scheduler.web.wire.allowance import DROP_KNOWN_S, DROP_S, DROP_STEP_S, DROPPED_KNOWN_BYTES_MAX, Bounds


class BoundedTransport(SendingTransport):
    """Wraps `inner`. `cut_off` is called with a reason when the peer takes too little of what it is sent."""

    __slots__ = (
        "_bounds",
        "_drop_timer",
        "_dropped",
        "_ends_early",
        "_resume_timer",
        "is_known",
    )

    def __init__(
        self,
        inner: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds,
        cut_off: Callable[[str], None],
        ends_early: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(inner, loop, cut_off, bounds.send_stall_s, bounds.send_buffer_bytes_max)
        self.is_known = False
        """Whether the peer is known, and may send more after our last message."""
        self._ends_early = ends_early
        """Returns at a close whether the peer is in the middle of sending, so that the close must wait for it."""
        self._bounds = bounds
        self._dropped = 0
        self._drop_timer: asyncio.TimerHandle | None = None
        self._resume_timer: asyncio.TimerHandle | None = None

    # ---- the end

    def close(self) -> None:
        """Close when all is sent; a peer in the middle of sending may go on for a time; that is dropped."""
        if self.has_ended:
            return
        if self._ends_early is not None and self._ends_early():
            self.end_sending()
        else:
            super().close()

    def end_sending(self) -> None:
        """Our last message is written: end our side; drop what comes until the peer closes or a bound is reached."""
        if self.has_ended or self.inner.is_closing():
            return
        self.has_ended = True
        if self.inner.can_write_eof():
            self.write_eof()
        else:
            self.flush()
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
        """The connection is gone, or is handed on: what is gathered is sent, and no timer stays behind."""
        self.flush()
        self.end_stall()
        for timer in (self._drop_timer, self._resume_timer):
            if timer is not None:
                timer.cancel()
        self._drop_timer = self._resume_timer = None

    def _read_on(self) -> None:
        self._resume_timer = None
        if not self.inner.is_closing():
            self.inner.resume_reading()

    # ---- once our last message is written, the peer may no longer be held back

    def pause_reading(self) -> None:
        """Read nothing for now."""
        if not self.has_ended:
            self.inner.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self.has_ended:
            self.inner.resume_reading()
