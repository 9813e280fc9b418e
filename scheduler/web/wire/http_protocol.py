"""uvicorn's HTTP protocol with the bounds that it lacks: the size of a head, the time a request takes to come in, the
time an answer takes to go out. http_turns.py ensures that no peer blocks the loop.

A request that is refused, or answered before it has come in whole, costs no other peer anything: the connection is
closed, and the rest is dropped unparsed. The module knows bytes and seconds, the numbers are in allowance.py; the
application handles the request.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from voxpool.scheduler.core.jobs.reasons import OUT_OF_MEMORY
from voxpool.scheduler.web.problems import out_of_memory, problem, status_of
from voxpool.scheduler.web.wire.allowance import Bounds
from voxpool.scheduler.web.wire.bounded_transport import BoundedTransport
from voxpool.scheduler.web.wire.connections import connection_of
from voxpool.scheduler.web.wire.http_turns import HttpInTurns, TurnFlow

LATE_S = 0.05
"""Between the end of the time that a request has and the end of its connection: at least one turn of the loop."""
DETAILS = {
    "head_too_large": "the request line and the headers are above head_bytes_max, or more than headers_max",
    "slow_head": "the request line and the headers did not come within head_s",
    "slow_body": "the body stayed away, or came too slowly",
    "small_parts": "the body came in too many small chunks a second (small_parts_per_s_max)",
}
BETWEEN, HEAD, BODY = range(3)
"""What is coming in: nothing that belongs to a request, a request line with its headers, or a body."""


class BoundedHttp(HttpInTurns):
    """The protocol that uvicorn makes for each connection; it is given a subclass made by `with_bounds` as `http`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = HEAD
        """A new connection is expected to send a head."""
        self._since_s = self._last_s = self.loop.time()
        """When this phase began, and when something came last."""
        self._moved = False
        """Whether the data at hand ended a phase or were part of a body."""
        self._head_bytes = 0
        """What came since then: of a head, of trailers, or around the parts of a body."""
        self._headers = 0
        self._body_bytes = 0
        self._request_bytes = 0
        self._answering: RequestResponseCycle | None = None
        """The request that the application works on; later ones of the same connection may have been read."""
        self._receive_timer: asyncio.TimerHandle | None = None

    @classmethod
    def with_bounds(cls, bounds: Bounds) -> type[BoundedHttp]:
        """Return a subclass that has `bounds`."""
        return type("BoundHttp", (cls,), {"bounds": bounds})

    # ---- what the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        bounded = BoundedTransport(transport, self.loop, self.bounds, self._abort, self._ends_early)
        super().connection_made(bounded)
        self.flow = TurnFlow(bounded, self)
        connection = connection_of(self.app_state)
        if connection is not None:
            connection.cut_off = transport.abort
        # So that pause_writing reports every byte that the peer does not take; with TLS it does so at this bound, else
        # above it.
        transport.set_write_buffer_limits(high=1 if self.scheme == "https" else 0)
        self._watch_receiving()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whatever the reason."""
        self._stop_timers()
        self.transport.stop()
        if self._answering is not None:  # uvicorn informs the last request that was read, which may not be this one
            self._answering.disconnected = True
            self._answering.message_event.set()
        self.pipeline.clear()
        connection = connection_of(self.app_state)
        if connection is not None:
            connection.ended()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: requests at work are answered, and no others are waited for."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.flush()
            self.transport.inner.close()
        else:
            super().shutdown()

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is a WebSocket, which has bounds of its own."""
        self._phase = BETWEEN
        self._stop_timers()
        self.transport.stop()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Count before parsing, and drop what comes after our last message."""
        if self.transport.has_ended:
            self.transport.drop(len(data))
            return
        self._request_bytes += len(data)
        if self._request_bytes > self.bounds.request_bytes_max:
            self._abort("request_too_large")
        if self._refused or self.transport.is_closing():
            return
        self._last_s = self.loop.time()
        self._come(data)

    def _parse(self, data: bytes | memoryview) -> bool:
        goes_on = super()._parse(data)
        if goes_on and self._receive_timer is None:
            self._watch_receiving()
        return goes_on

    def _take(self, step: bytes | memoryview, is_last: bool) -> bool:
        """Parse one step, and look at the size of what is no body; return whether the connection goes on."""
        self._moved = False
        try:
            self.parser.feed_data(step)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("")
            return False
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._upgrade(is_last and upgrade.args[0] >= len(step))
                return False
            self._unsupported_upgrade_warning()
        if self._refused or self.transport.is_closing():
            return False
        if self._moved:
            self._head_bytes = 0
            return True
        self._head_bytes += len(step)
        if self._head_bytes > self.bounds.head_bytes_max:
            self._refuse("head_too_large")
            return False
        if self._phase == BETWEEN:  # empty lines, which may stand before a request
            self._begin(HEAD)
        return True

    def _upgrade(self, is_all: bool) -> None:
        """Open a WebSocket, `is_all` when nothing has come behind its request.

        The answer to an earlier request would come in the middle of its frames: that one is answered, and no more.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self._refused = True
            self.cycle.keep_alive = False
        elif not is_all:
            self._bad_handshake("a client sends nothing behind its handshake before the answer (RFC 6455)")
        elif self.parser.get_http_version() != "1.1":
            self._bad_handshake("a handshake is a request of HTTP/1.1 (RFC 6455)")
        else:
            self.handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """The peer takes less than it is sent: from now on it must take something in each `send_stall_s`."""
        super().pause_writing()
        self.transport.watch_stall()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        self.transport.end_stall()

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
        if self._headers > self.bounds.headers_max:
            self._refuse("head_too_large")
        elif self._phase == HEAD and not self._refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete; one that is too large may also have come in one piece."""
        if self._refused:
            return
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > self.bounds.head_bytes_max:
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
        """Answer what can't be parsed, unless it was answered; called while the parser's error is handled."""
        if self._refused or self.transport.is_closing():
            return
        if _is_out_of_memory(sys.exception()):
            self._drop_body()
            self._refuse(OUT_OF_MEMORY)
        else:
            self._last_word(problem(status_of("bad_request"), "bad_request", "this is not HTTP/1.1 as RFC 9112 has it"))

    def _drop_body(self) -> None:
        """Release what has come of the body: others need its memory."""
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
            return self._since_s + self.bounds.head_s
        return self.bounds.pace.due_s(self._since_s, self._last_s, self._body_bytes)

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
        if self.flow.read_paused:  # this side did not read what may have come
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

    def _stop_timers(self) -> None:
        self._stop_parsing()
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

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
            answering.disconnected = True  # the answer of the application comes too late
            answering.message_event.set()
        self._report_refusal(reason)
        is_memory = reason == OUT_OF_MEMORY
        self._last_word(out_of_memory() if is_memory else problem(status_of(reason), reason, DETAILS[reason]))

    def _bad_handshake(self, detail: str) -> None:
        self._last_word(problem(status_of("bad_request"), "bad_request", detail))

    def _last_word(self, refused: Response) -> None:
        """Answer with a problem, without the application; what the peer still sends is dropped."""
        self._refused = True
        self._write(refused)
        self._stop_timers()
        self.transport.end_sending()

    def _ends_early(self) -> bool:
        """Return whether the peer is in the middle of sending when the connection is closed; that is not parsed."""
        is_sending = self._phase == BODY or (self._phase == HEAD and self._head_bytes > 0) or bool(self._rest)
        if is_sending or self._refused:
            self._refused = True
            self._stop_timers()
        return self._refused

    def _write(self, refused: Response) -> None:
        refused.headers["connection"] = "close"
        headers = (*self.server_state.default_headers, *refused.raw_headers)
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[refused.status_code] + head + b"\r\n" + bytes(refused.body))

    def _abort(self, reason: str) -> None:
        self._report_refusal(reason)
        self.transport.abort()

    def _report_refusal(self, reason: str) -> None:
        self.bounds.on_abort("{}:{}".format(*self.client) if self.client else "?", reason)


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether the parser failed because one of its call-backs, or itself, got no memory."""
    return isinstance(error, MemoryError) or (error is not None and isinstance(error.__context__, MemoryError))
