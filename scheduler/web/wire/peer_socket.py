"""One WebSocket connection, bounded in every direction, which uvicorn's protocol is not: for untrusted peers.

Sending never waits: a peer that takes nothing, or for whom too much is queued, is cut off. Receiving has a fast path: a
handler that is called for each message inside the read call-back, without a task switch. It knows frames, not messages;
frame_turns.py reads them, the numbers are in allowance.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.protocol.framing import BINARY, PING, TEXT, frame_head
from voxpool.scheduler.web.wire.allowance import FRAMES_A_TURN, Bounds
from voxpool.scheduler.web.wire.frame_socket import FrameSocket, OnFrame, Received
from voxpool.scheduler.web.wire.frame_turns import FramesInTurns

PROBE = b"voxpool-probe"
CLOSE_TIMEOUT_S = 2.0
"""How long the other end may take to answer a close before the connection is cut off."""


class PeerSocket(FramesInTurns):
    """The protocol that uvicorn makes for each WebSocket; a subclass made by `with_bounds` is given to it as `ws`.

    The ASGI application finds it in scope["state"]["socket"].
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_frame: OnFrame | None = None
        self._refused: Any = None
        """An event that the handler did not take; it comes before those in the queue."""
        self._probe: asyncio.Future[bool] | None = None
        self.cut_off = ""
        """Why this connection was cut off, if it was."""

    @classmethod
    def with_bounds(cls, bounds: Bounds) -> type[PeerSocket]:
        """Return a subclass that has `bounds`."""
        return type("BoundedPeerSocket", (cls,), {"bounds": bounds})

    @property
    def peer_said_goodbye(self) -> bool:
        """Whether the other end closed properly (1000, or 1001: it is going away)."""
        closed = self.conn.close_rcvd
        return closed is not None and closed.code in (1000, 1001)

    @property
    def send_buffer_bytes_max(self) -> int:
        """Bytes that may wait to be sent. The application may raise it for a peer with more results."""
        return self.transport.send_buffer_bytes_max

    @send_buffer_bytes_max.setter
    def send_buffer_bytes_max(self, bytes_max: int) -> None:
        self.transport.send_buffer_bytes_max = bytes_max

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait to be sent."""
        return self.transport.get_write_buffer_size()

    # ---- for the application

    def send_frame(self, data: bytes, binary: bool) -> None:
        """Send one message, or nothing when the connection is closing. Never waits."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.transport.write(frame_head(len(data), BINARY if binary else TEXT) + data)

    def serve(self, on_frame: OnFrame) -> None:
        """Pass messages to `on_frame` as they come, until it refuses one or more come than are handled at a time.

        From then on they come by `next_frame`, until `serve` is called again.
        """
        for _ in range(FRAMES_A_TURN):
            if self._refused is None and self.queue.empty():
                self._on_frame = on_frame
                self._app_reads_on()
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
        """Send a ping and return whether its pong comes within `timeout_s`."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        if self._probe is None or self._probe.done():
            self._probe = self.loop.create_future()
            self.send_ping(PROBE)
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
        self._app_reads_on()
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def abort(self, reason: str) -> None:
        """Cut the connection off; what waits to be sent is dropped."""
        if not self.disconnected and not self.cut_off:
            self.cut_off = reason
            self.bounds.on_abort(self.peer, reason)
            self.transport.abort()

    # ---- what uvicorn calls

    async def run_asgi(self) -> None:
        """Run the application with this connection in its scope."""
        self.scope["state"]["socket"] = self
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """Send the application's answer: it accepts the connection, or refuses it by an answer of HTTP."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # it is refused; otherwise uvicorn would log an error
        if self.handshake_complete and not self.close_sent:
            self._read_on()

    def send_receive_event_to_app(self) -> None:
        """Take one whole message, whose parts are `frames`."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if not self.close_sent:
            self.take_message(data, self.curr_msg_data_type == "bytes")

    def take_message(self, data: bytes, binary: bool) -> None:
        """Take one whole message."""
        self._took_message = True
        if self._on_frame is not None:
            if self._on_frame(data, binary):
                return
            self._on_frame = None
        event: Any = {"type": "websocket.receive", "bytes": data, "binary": binary}
        self.queue.put_nowait(event)
        self.read_paused = True
        self._hold_reading()

    def take_pong(self, data: bytes) -> None:
        """Take the answer to a ping: to one of all peers, or to one that asks whether the peer is there at all."""
        if data == PROBE and self._probe is not None:
            _settle(self._probe, True)
        else:
            self.bounds.pings.answered(self, data)

    def handle_parser_exception(self) -> None:
        """Close because of a violation of the protocol."""
        self._on_frame = None
        super().handle_parser_exception()

    def start_keepalive(self) -> None:
        """The handshake is done: ask from now on whether the peer is there."""
        self.bounds.pings.add(self)

    def stop_keepalive(self) -> None:
        """The connection is gone, or the server stops."""
        self.bounds.pings.remove(self)

    def send_ping(self, payload: bytes) -> None:
        """Send a ping; does nothing when the connection is closing."""
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frame_head(len(payload), PING) + payload)

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
        self.transport.watch_stall()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        self.transport.end_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whatever the reason."""
        self._on_frame = None
        if self._probe is not None:
            _settle(self._probe, False)
        super().connection_lost(exc)


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


if TYPE_CHECKING:

    def _is_what_doors_need(socket: PeerSocket) -> FrameSocket:
        return socket
