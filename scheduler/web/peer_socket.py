"""One WebSocket connection, bounded in every direction: what uvicorn's protocol lacks for peers that can't be trusted.

Sending never waits: a peer that takes nothing, or for whom too much is queued, is cut off. Receiving has a fast path: a
handler that is called for each message inside the read call-back, without a task switch. It knows frames, not messages.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as WireFrame

from scheduler.web.frame_socket import FrameSocket, OnFrame, Received
from scheduler.web.handshakes import refused_handshake
from scheduler.web.incoming import Incoming, PartialMessage
from scheduler.web.pace import Pace

PROBE = b"voxpool-probe"
CLOSE_TIMEOUT_S = 2.0
"""How long the other end may take to answer a close before the connection is cut off."""
FRAMES_A_TURN = 100
"""Messages of one peer that are handled before others get their turn; one read may bring thousands."""
STRANGERS_MESSAGE_BYTES_MAX = 256 * 1024
"""The largest message of a peer of whom nobody knows who it is; a register with a thousand attempts takes 90 kB."""
DISCARDED_BYTES_MAX = 256 * 1024**2
"""What a peer may go on sending after its connection was closed for a protocol error."""


@dataclass(frozen=True)
class SocketLimits:
    """Bounds of one connection: what waits to be sent, how long a full peer takes nothing, how slow messages are."""

    send_buffer_bytes_max: int
    send_stall_s: float
    pace: Pace
    """How slowly a message may come in."""
    incoming: Incoming
    on_abort: Callable[[str, str], None]
    """Called with (peer, reason) when a connection is cut off."""


class PeerSocket(WebSocketsSansIOProtocol):
    """The protocol that uvicorn makes for each WebSocket; a subclass made by `with_limits` is given to it as `ws`.

    The ASGI application finds it in scope["state"]["socket"].
    """

    limits: ClassVar[SocketLimits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.reject = refused_handshake  # type: ignore[method-assign]
        self._on_frame: OnFrame | None = None
        self._frames_now = 0
        """Messages in the data at hand."""
        self._refused: Any = None
        """An event that the handler did not take; it comes before those in the queue."""
        self._stall_timer: asyncio.TimerHandle | None = None
        self.send_buffer_bytes_max = self.limits.send_buffer_bytes_max
        """The application may raise it for a peer that is owed more."""
        self._written = 0
        self._taken_before = 0
        self._partial: PartialMessage | None = None
        self._discarding = False
        self._discarded = 0
        self._probe: asyncio.Future[bool] | None = None
        self.cut_off = ""
        """Why this connection was cut off, if it was."""

    @classmethod
    def with_limits(cls, limits: SocketLimits) -> type[PeerSocket]:
        """Return a subclass that has `limits`."""
        return type("BoundedPeerSocket", (cls,), {"limits": limits})

    @property
    def peer(self) -> str:
        """The other end's address, for log lines."""
        return "{}:{}".format(*self.client) if self.client else "?"

    @property
    def peer_said_goodbye(self) -> bool:
        """Whether the other end closed in good order (1000, or 1001: it is going away)."""
        closed = self.conn.close_rcvd
        return closed is not None and closed.code in (1000, 1001)

    # ---- for the application

    def send_frame(self, data: bytes, binary: bool) -> None:
        """Send one message, or nothing when the connection is closing. Never waits."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        frame = _head(len(data), binary) + data
        self._written += len(frame)
        self.transport.write(frame)
        if self.transport.get_write_buffer_size() > self.send_buffer_bytes_max:
            self.abort("send_buffer_full")

    def is_stranger(self, stranger: bool) -> None:
        """Bound the messages of a peer that has to show a token in its first one, or let it send what others may."""
        largest: int = self.config.ws_max_size
        self.conn.max_message_size = min(STRANGERS_MESSAGE_BYTES_MAX, largest) if stranger else largest

    def serve(self, on_frame: OnFrame) -> None:
        """Hand messages to `on_frame` as they come, until it refuses one or more come than are handled at a time.

        From then on they come by `next_frame`, until `serve` is called again.
        """
        for _ in range(FRAMES_A_TURN):
            if self._refused is None and self.queue.empty():
                self._on_frame = on_frame
                self._resume_reading()
                return
            event: Any = self._refused or self.queue.get_nowait()
            self._refused = None
            if event["type"] != "websocket.receive" or not on_frame(event["bytes"], event["binary"]):
                self._refused = event
                return

    async def next_frame(self) -> Received | None:
        """Return the next message that `serve` has not taken, or None when the connection has ended."""
        event: Any = self._refused or await self.receive()
        self._refused = None
        if event["type"] == "websocket.receive":
            return Received(event["bytes"], event["binary"])
        return None

    async def answers(self, timeout_s: float) -> bool:
        """Send a ping and tell whether its pong comes within `timeout_s`."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        if self._probe is None or self._probe.done():
            self._probe = self.loop.create_future()
            self.conn.send_ping(PROBE)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.loop.call_later(timeout_s, _settle, self._probe, False)
        return await asyncio.shield(self._probe)

    def close_with(self, code: int, reason: str) -> None:
        """Close the connection; it is cut off when the other end does not answer."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        reason = reason.encode()[:120].decode(errors="ignore")
        self._on_frame = None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def abort(self, reason: str) -> None:
        """Cut the connection off; what waits to be sent is dropped."""
        if not self.disconnected and not self.cut_off:
            self.cut_off = reason
            self.limits.on_abort(self.peer, reason)
            self.transport.abort()

    # ---- what uvicorn calls

    async def run_asgi(self) -> None:
        """Run the application with this connection in its scope."""
        self.scope["state"]["socket"] = self
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """Send what the application has to say: that it accepts the connection, or an answer of HTTP in its place."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # it is refused; else uvicorn takes it for forgotten and logs an error

    def send_receive_event_to_app(self) -> None:
        """Take one whole message."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        binary = self.curr_msg_data_type == "bytes"
        self._frames_now += 1
        if self._on_frame is not None:
            if self._frames_now <= FRAMES_A_TURN and self._on_frame(data, binary):
                return
            self._on_frame = None
        event: Any = {"type": "websocket.receive", "bytes": data, "binary": binary}
        self.queue.put_nowait(event)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or drop it when the connection has already failed."""
        if self._discarding:
            self._discarded += len(data)
            if self._discarded > DISCARDED_BYTES_MAX:
                self.transport.abort()
            return
        self._frames_now = 0
        super().data_received(data)
        if not self.handshake_initiated:
            self._refuse_handshake()
        else:
            self._count(len(data))

    def handle_text(self, event: WireFrame) -> None:
        """Take a message, or its first part. The parser holds the last frame until the next: not its data, which may
        be the audio of a job that has long ended.
        """
        super().handle_text(event)
        event.data = b""

    def handle_bytes(self, event: WireFrame) -> None:
        """Take a message, or its first part."""
        super().handle_bytes(event)
        event.data = b""

    def handle_cont(self, event: WireFrame) -> None:
        """Take a part of a message; empty parts, of which there is no bound, are not kept."""
        if event.data or event.fin:
            super().handle_cont(event)
        event.data = b""

    def handle_pong(self, event: WireFrame) -> None:
        """Take the answer to a ping."""
        if bytes(event.data) == PROBE:
            if self._probe is not None:
                _settle(self._probe, True)
            return
        super().handle_pong(event)

    def handle_parser_exception(self) -> None:
        """Say why (1009: too big), end the sending side, and drop what the peer still sends until it closes, too.

        Closing at once would reset the connection while data are coming in, and the peer would never read the reason.
        """
        closed = self.conn.close_sent
        code = closed.code if closed is not None else 1006
        reason = closed.reason if closed is not None else ""
        self._on_frame = None
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._discarding = True
        self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
        self.limits.on_abort(self.peer, f"closed_{code}")

    def keepalive_timeout(self) -> None:
        """Cut off a peer that answers no ping: closing would wait for it to take what is queued."""
        self.abort("no_pong")

    def shutdown(self) -> None:
        """The server stops."""
        self.stop_keepalive()
        if self.handshake_complete:
            self.close_with(1012, "the scheduler stops")
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The peer takes less than it is sent: from now on it must take something in each `send_stall_s`."""
        super().pause_writing()
        self._taken_before = self._taken
        self._stall_timer = self.loop.call_later(self.limits.send_stall_s, self._check_stall)

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whatever the reason."""
        self._on_frame = None
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._partial is not None:
            self._partial.end()
            self._partial = None
        if self._probe is not None:
            _settle(self._probe, False)
        super().connection_lost(exc)

    @property
    def _taken(self) -> int:
        return self._written - self.transport.get_write_buffer_size()

    def _check_stall(self) -> None:
        taken = self._taken
        if taken == self._taken_before:
            self.abort("takes_nothing")
        else:
            self._taken_before = taken
            self._stall_timer = self.loop.call_later(self.limits.send_stall_s, self._check_stall)

    def _count(self, size: int) -> None:
        """Some data have come, `size` bytes; what is missing of the last message must come in time."""
        if self._partial is not None and (self._frames_now or not self._has_part):
            self._partial.end()
            self._partial = None
        if self._has_part and not self.transport.is_closing():
            if self._partial is None:
                self._partial = PartialMessage(self)
            self._partial.came(size)

    @property
    def _has_part(self) -> bool:
        return bool(self.frames or self.conn.reader.buffer)

    def _refuse_handshake(self) -> None:
        """The head that HTTP's parser took is none for that of WebSockets: say so, which uvicorn doesn't, and close."""
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or refused_handshake(400, "a handshake has no body").serialize())
        self.transport.close()

    def _resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()


def _head(length: int, binary: bool) -> bytes:
    """Return the head of an unmasked, final frame (RFC 6455, 5.2)."""
    first = 0x82 if binary else 0x81
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


if TYPE_CHECKING:

    def _is_what_doors_need(socket: PeerSocket) -> FrameSocket:
        return socket
