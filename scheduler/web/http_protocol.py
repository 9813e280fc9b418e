"""uvicorn's HTTP protocol with the bounds that it lacks: size of the head, a stalled request, an answer not taken."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 1024
"""Request line and headers together."""
STALL_S = 20.0
"""A request of which nothing came for so long, or an answer of which nothing was taken, is cut off."""
REQUEST_S_MAX = 300.0
"""A request that is not complete by then is cut off."""
LOOK_S = 5.0
"""Time between two looks at a connection."""


class BoundedHttp(HttpToolsProtocol):
    """The protocol that uvicorn makes for each connection; a subclass made by `with_limit` is given to it as `http`."""

    request_bytes_max: ClassVar[int] = 256 * 1024**2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._moved = False
        """Whether a head or a body was completed by the data at hand."""
        self._receiving = True
        self._head_bytes = 0
        self._request_bytes = 0
        self._began_s = self._last_s = self.loop.time()
        self._unsent = 0
        self._unsent_since_s = self._began_s
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def with_limit(cls, request_bytes_max: int) -> type[BoundedHttp]:
        """Return a subclass that reads at most so many bytes of one request, those of a refused one included."""
        return type("LimitedHttp", (cls,), {"request_bytes_max": request_bytes_max})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch the connection."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to watch it."""
        self._stop_timer()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is a WebSocket, which has bounds of its own."""
        self._stop_timer()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Count before parsing."""
        self._last_s = self.loop.time()
        self._request_bytes += len(data)
        if self._request_bytes > self.request_bytes_max:
            self.transport.abort()
            return
        self._moved = False
        super().data_received(data)
        if self._in_head and not self._moved and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._receiving = True
        self._request_bytes = 0
        self._began_s = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete; a head of this size may also have come in one piece."""
        self._in_head = False
        self._moved = True
        self._head_bytes = 0
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > HEAD_BYTES_MAX:
            self._refuse_head()
            raise httptools.HttpParserError("head too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is complete."""
        self._receiving = False
        self._in_head = True
        self._moved = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be parsed, unless it was answered."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        body = b"request line and headers are above 65536 bytes"
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()

    def _look(self) -> None:
        now_s = self.loop.time()
        unsent = self.transport.get_write_buffer_size() if self.flow.write_paused else 0
        if unsent != self._unsent:
            self._unsent, self._unsent_since_s = unsent, now_s
        stalled = now_s - self._last_s > STALL_S or now_s - self._began_s > REQUEST_S_MAX
        if (self._receiving and not self.flow.read_paused and stalled) or (
            unsent and now_s - self._unsent_since_s > STALL_S
        ):
            self.transport.abort()
            return
        self._timer = self.loop.call_later(LOOK_S, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
