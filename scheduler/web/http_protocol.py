"""uvicorn's HTTP protocol with the bounds that it lacks: the size of a head, the time a request takes to come in, the
time an answer takes to go out.

A head that is too large, or never complete, costs nobody else anything: it is answered and the connection closed. It
knows bytes and seconds; what a request asks for is the application's business.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from scheduler.reasons import OUT_OF_MEMORY
from scheduler.web.pace import Pace
from scheduler.web.problems import out_of_memory, problem, status_of

LINGER_S = 2.0
"""How long a peer that was refused may go on sending before the connection is cut off: closing at once would reset it,
and the peer would never read why."""
LATE_S = 0.05
"""Between the end of the time that a request has and the end of its connection: at least one turn of the loop."""
DETAILS = {
    "head_too_large": "the request line and the headers are above head_bytes_max, or more than headers_max",
    "slow_head": "the request line and the headers did not come within head_s",
    "slow_body": "the body stayed away, or came too slowly",
}
BETWEEN, HEAD, BODY = range(3)
"""What is coming in: nothing that belongs to a request, a request line with its headers, or a body."""


@dataclass(frozen=True)
class HttpLimits:
    """Bounds of one connection; the settings of the same names say more."""

    head_bytes_max: int
    headers_max: int
    head_s: float
    pace: Pace
    """How slowly a body may come in."""
    request_bytes_max: int
    """What is read of one request, also when it was refused and the rest is only dropped."""
    send_stall_s: float
    on_abort: Callable[[str, str], None]
    """Called with (peer, reason) when a connection is cut off."""


class BoundedHttp(HttpToolsProtocol):
    """The protocol that uvicorn makes for each connection; it is given a subclass made by `with_limits` as `http`."""

    limits: ClassVar[HttpLimits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = HEAD
        """A connection that was just opened owes a head."""
        self._since_s = self._last_s = self.loop.time()
        """When this phase began, and when something came last."""
        self._moved = False
        """Whether the data at hand ended a phase or were part of a body."""
        self._head_bytes = 0
        """What came since then: of a head, of trailers, or around the parts of a body."""
        self._headers = 0
        self._body_bytes = 0
        self._request_bytes = 0
        self._refused = False
        self._answering: RequestResponseCycle | None = None
        """The request that the application works on; later ones of the same connection may have been read."""
        self._receive_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    @classmethod
    def with_limits(cls, limits: HttpLimits) -> type[BoundedHttp]:
        """Return a subclass that has `limits`."""
        return type("LimitedHttp", (cls,), {"limits": limits})

    # ---- what the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        # So that pause_writing tells of every byte that the peer does not take; with TLS it does so at this bound, else
        # above it.
        transport.set_write_buffer_limits(high=1 if self.scheme == "https" else 0)
        self._watch_receiving()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whatever the reason."""
        self._stop_timers()
        if self._answering is not None:  # uvicorn tells the last request that was read, which may not be this one
            self._answering.disconnected = True
            self._answering.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is a WebSocket, which has bounds of its own."""
        self._phase = BETWEEN
        self._stop_timers()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Count before parsing, and look at the time after it."""
        self._request_bytes += len(data)
        if self._request_bytes > self.limits.request_bytes_max:
            self._abort("request_too_large")
        if self._refused or self.transport.is_closing():
            return
        self._last_s = self.loop.time()
        self._moved = False
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._moved:
            self._head_bytes = 0
        else:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes_max:
                self._refuse("head_too_large")
                return
            if self._phase == BETWEEN:  # empty lines, which may stand before a request
                self._begin(HEAD)
        if self._receive_timer is None:
            self._watch_receiving()

    def pause_writing(self) -> None:
        """The peer takes less than it is sent: from now on it must take something in each `send_stall_s`."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    # ---- what the parser calls; once a request is refused it goes on, to no effect

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._refused:
            self._begin(HEAD)
            self._request_bytes = 0
            self._headers = 0
            super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or drop one that comes after the body (a trailer)."""
        self._headers += 1
        if self._headers > self.limits.headers_max:
            self._refuse("head_too_large")
        elif self._phase == HEAD and not self._refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete; one that is too large may also have come in one piece."""
        if self._refused:
            return
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > self.limits.head_bytes_max:
            self._refuse("head_too_large")
            return
        self._begin(BODY)
        self._moved = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if not self._refused:
            self._moved = True
            self._body_bytes += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if not self._refused:
            self._begin(BETWEEN)
            self._moved = True
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be parsed, unless it was answered. uvicorn calls it while it handles the parser's error."""
        if self._refused or self.transport.is_closing():
            return
        if _is_out_of_memory(sys.exception()):
            self._drop_body()
            self._refuse(OUT_OF_MEMORY)
        else:
            self._write(problem(status_of("bad_request"), "bad_request", "this is not HTTP/1.1 as RFC 9112 has it"))
            self.transport.close()

    def _drop_body(self) -> None:
        """Release what has come of the body: its memory is what others lack."""
        if self.cycle is not None:
            self.cycle.body = bytearray()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    # ---- time

    def _begin(self, phase: int) -> None:
        self._phase = phase
        self._since_s = self._last_s = self.loop.time()
        self._body_bytes = 0

    def _due_s(self) -> float | None:
        """Return when the request must have gone on, or None when none is coming in."""
        if self._phase == BETWEEN:
            return None
        if self._phase == HEAD:
            return self._since_s + self.limits.head_s
        return self.limits.pace.due_s(self._since_s, self._last_s, self._body_bytes)

    def _watch_receiving(self) -> None:
        due_s = self._due_s()
        self._receive_timer = None if due_s is None else self.loop.call_at(due_s, self._is_due)

    def _is_due(self) -> None:
        """Time is over; what has come while the loop was busy has still to be read."""
        self._receive_timer = self.loop.call_later(LATE_S, self._look)

    def _look(self) -> None:
        self._receive_timer = None
        due_s = self._due_s()
        if due_s is None or self._refused:
            return
        now_s = self.loop.time()
        if self.flow.read_paused:  # it is we who did not take what may have come
            self._since_s = self._last_s = now_s
            self._body_bytes = 0
        elif now_s >= due_s:
            self._too_slow()
            return
        self._watch_receiving()

    def _too_slow(self) -> None:
        if self._phase == HEAD and not self._head_bytes:
            self.transport.close()  # it was opened, for later perhaps, and not used
        elif self._phase == HEAD:
            self._refuse("slow_head")
        else:
            self._refuse("slow_body")

    def _watch_sending(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self.limits.send_stall_s, self._look_at_sending)

    def _look_at_sending(self) -> None:
        if self.transport.get_write_buffer_size() == self._unsent:
            self._abort("takes_nothing")
        else:
            self._watch_sending()

    def _stop_timers(self) -> None:
        for timer in (self._receive_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        self._receive_timer = self._send_timer = None

    # ---- the end

    def _refuse(self, reason: str) -> None:
        """Answer, unless an earlier request still is being answered, and close once the peer has read it."""
        if self._refused:
            return
        self._refused = True
        answering = self._answering
        if answering is not None and not answering.response_complete:
            if self._phase == HEAD or answering is not self.cycle or answering.response_started:
                self._abort(reason)
                return
            answering.disconnected = True  # what the application has to say comes too late
            answering.message_event.set()
        self._told(reason)
        self._write(out_of_memory() if reason == OUT_OF_MEMORY else problem(status_of(reason), reason, DETAILS[reason]))
        self._stop_timers()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._receive_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def _write(self, refused: Response) -> None:
        """Write a problem, without the application, which knows nothing of this request."""
        refused.headers["connection"] = "close"
        headers = (*self.server_state.default_headers, *refused.raw_headers)
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[refused.status_code] + head + b"\r\n" + bytes(refused.body))

    def _abort(self, reason: str) -> None:
        self._told(reason)
        self.transport.abort()

    def _told(self, reason: str) -> None:
        self.limits.on_abort("{}:{}".format(*self.client) if self.client else "?", reason)


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether the parser failed because one of its call-backs, or itself, got no memory."""
    return isinstance(error, MemoryError) or (error is not None and isinstance(error.__context__, MemoryError))
