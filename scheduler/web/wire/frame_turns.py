"""Frames of one WebSocket in turns: how much is parsed before others run, and how small the parts may be.

It owns reading: when it is paused, what has come in part, and what is dropped after our last message. PeerSocket, which
derives from it, handles the messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, ClassVar, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.frames import Frame as WireFrame
from websockets.protocol import OPEN

from voxpool.scheduler.protocol.framing import BINARY, PING, PONG, FrameReader, frame_head, whole_frame
from voxpool.scheduler.web.wire.allowance import (
    FRAMES_A_TURN,
    SMALL_PART_BYTES,
    STRANGERS_FRAMES_A_TURN,
    STRANGERS_MESSAGE_BYTES_MAX,
    Bounds,
    SmallParts,
)
from voxpool.scheduler.web.wire.bounded_transport import BoundedTransport
from voxpool.scheduler.web.wire.connections import connection_of
from voxpool.scheduler.web.wire.handshakes import refused_handshake
from voxpool.scheduler.web.wire.partial_message import PartialMessage
from voxpool.scheduler.web.wire.turn_queue import Turn

SMALL_PARTS = "small_parts"


class TurnReader(FrameReader):
    """The bytes of one peer; the parser stops between two frames when its turn is over."""

    def __init__(self) -> None:
        super().__init__()
        self.frames_left = FRAMES_A_TURN
        """Frames that may still be begun in this turn."""

    @property
    def has_more(self) -> bool:
        """Whether a frame may be there that was left for the next turn."""
        return not self.frames_left and bool(self.buffer)

    def at_eof(self) -> Generator[None, None, bool]:
        """Return whether all has been read; the parser asks before each frame."""
        has_ended = yield from super().at_eof()
        while not self.frames_left:
            yield
        self.frames_left -= 1
        return has_ended


class FramesInTurns(WebSocketsSansIOProtocol):
    """uvicorn's protocol, whose parser yields to the loop."""

    bounds: ClassVar[Bounds]
    transport: BoundedTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.reject = refused_handshake  # type: ignore[method-assign]
        self.conn.max_message_size = min(STRANGERS_MESSAGE_BYTES_MAX, self.config.ws_max_size)
        self._reader = self.conn.reader = TurnReader()
        self.conn.parser = self.conn.parse()  # the first one is bound to the reader that was replaced
        next(self.conn.parser)
        self._took_message = False
        """Whether a message was complete in this turn."""
        self._small_now = 0
        """Small parts in this turn."""
        self._small_parts = SmallParts(self.bounds.small_parts_per_s_max, self.loop.time())
        self._turn: asyncio.Handle | Turn | None = None
        self._holds_reading = False
        """Whether the transport's reading is paused: by the application, for the next turn, or until the handshake."""
        self._partial: PartialMessage | None = None

    @property
    def peer(self) -> str:
        """The other end's address, for log lines."""
        return "{}:{}".format(*self.client) if self.client else "?"

    def abort(self, reason: str) -> None:
        """Cut the connection off; what waits to be sent is dropped."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A request asks for a WebSocket; `transport` is still that of its HTTP connection."""
        inner = transport.inner if isinstance(transport, BoundedTransport) else cast(asyncio.Transport, transport)
        super().connection_made(BoundedTransport(inner, self.loop, self.bounds, self.abort))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whatever the reason."""
        self.transport.stop()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        connection = connection_of(self.app_state)
        if connection is not None:
            connection.ended()
        if self._partial is not None:
            self._partial.end()
            self._partial = None
        super().connection_lost(exc)

    def now_known(self) -> None:
        """The peer is known: from now on it may send messages as large as its door takes."""
        path = self.scope["path"]
        self.conn.max_message_size = self.bounds.message_bytes_max.get(path, STRANGERS_MESSAGE_BYTES_MAX)
        connection = connection_of(self.app_state)
        self.transport.is_known = True
        if connection is not None:
            connection.now_known()

    # ---- turns

    def data_received(self, data: bytes) -> None:
        """Parse what has come as far as this turn goes, or drop it after our last message."""
        if self.transport.has_ended:
            self.transport.drop(len(data))
            return
        # A transport may bring some although its reading is paused.
        if self._turn is not None or self.read_paused or not self._takes_turn():
            self._reader.feed_data(data)
            self._reader.frames_left = 0
            self._count(len(data))
            if not self.read_paused:
                self._hold_reading()
                self._read_on()
            return
        self._parse(data)

    def _takes_turn(self) -> bool:
        """Return whether it may be parsed at once. A handshake may: its request of HTTP waited for its turn."""
        return self.transport.is_known or not self.handshake_complete or self.bounds.strangers.take()

    def _parse(self, data: bytes) -> None:
        """Parse `data` and what was left of the turn before, and handle the frames."""
        self._reader.frames_left = FRAMES_A_TURN if self.transport.is_known else STRANGERS_FRAMES_A_TURN
        self._took_message = False
        self._small_now = 0
        rest = self._take_whole_frames(data)
        if rest or not data:
            super().data_received(rest)
        if not self.handshake_initiated:
            self._refuse_handshake()
            return
        self._count(len(data))
        if self._small_now and not self._small_parts.allow(self._small_now, self.loop.time()):
            self._too_many_small_parts()
        if self._reader.has_more and not self.transport.is_closing():
            self._hold_reading()
            self._read_on()
        elif not self.handshake_complete:
            self._hold_reading()  # a client sends nothing before the answer (RFC 6455, 4.1); if it does, it comes later

    def _take_whole_frames(self, data: bytes) -> bytes:
        """Handle messages that came in one frame each, pings and pongs, up to the first other frame; return what is
        left of `data`.
        """
        reader, conn, at = self._reader, self.conn, 0
        if self.frames or not reader.is_between_frames:
            return data
        while reader.frames_left and conn.state is OPEN and not self.close_sent:
            frame = whole_frame(data, at, True, conn.max_message_size or 0)
            if frame is None:
                break
            message, first, at = frame
            reader.frames_left -= 1
            if first < PING:
                self.take_message(message, first == BINARY)
                continue
            self._small_now += 1
            if first == PONG:
                self.take_pong(message)
            else:
                self.transport.write(frame_head(len(message), PONG) + message)
        return data[at:] if at else data

    def take_message(self, data: bytes, binary: bool) -> None:
        """Take one whole message."""
        raise NotImplementedError

    def take_pong(self, data: bytes) -> None:
        """Take the answer to a ping."""
        raise NotImplementedError

    def _next_turn(self) -> None:
        self._turn = None
        if not self.read_paused and not self.transport.is_closing():
            self._parse(b"")
            self._read_on()

    def _too_many_small_parts(self) -> None:
        if self.close_sent or self.disconnected or self.conn.close_sent is not None:
            self.abort(SMALL_PARTS)
            return
        self.conn.fail(CloseCode.POLICY_VIOLATION, "too many control frames or small fragments a second")
        self.handle_parser_exception()

    def handle_text(self, event: WireFrame) -> None:
        """Take a message, or its first part. The parser holds the last frame until the next: not its data, which may
        be the audio of a job that has long ended.
        """
        self._count_part(event)
        super().handle_text(event)
        event.data = b""

    def handle_bytes(self, event: WireFrame) -> None:
        """Take a message, or its first part."""
        self._count_part(event)
        super().handle_bytes(event)
        event.data = b""

    def handle_cont(self, event: WireFrame) -> None:
        """Take a part of a message; empty parts, of which there is no bound, are not kept."""
        self._count_part(event)
        if event.data or event.fin:
            super().handle_cont(event)
        event.data = b""

    def handle_ping(self) -> None:
        """Answer a ping."""
        self._small_now += 1
        super().handle_ping()

    def handle_pong(self, event: WireFrame) -> None:
        """Take the answer to a ping."""
        self._small_now += 1
        self.take_pong(bytes(event.data))

    def handle_parser_exception(self) -> None:
        """Send the reason (1009: too big), end the sending side, and drop what the peer still sends until it closes,
        too.

        Closing at once would reset the connection while data are coming in, and the peer would never read the reason.
        """
        closed = self.conn.close_sent
        code = closed.code if closed is not None else 1006
        reason = closed.reason if closed is not None else ""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.end_sending()
        self.bounds.on_abort(self.peer, f"closed_{code}")

    def _count_part(self, event: WireFrame) -> None:
        """A frame of a message has come; the last one, or one that is all of it, may be of any size."""
        if not event.fin and len(event.data) < SMALL_PART_BYTES:
            self._small_now += 1

    def _count(self, size: int) -> None:
        """Some data have come, `size` bytes; what is missing of the last message must come in time."""
        if self._partial is not None and (self._took_message or not self._has_part):
            self._partial.end()
            self._partial = None
        if self._has_part and not self.transport.is_closing():
            if self._partial is None:
                self._partial = PartialMessage(self)
                size = max(size, len(self._reader.buffer))
            self._partial.came(size)

    @property
    def _has_part(self) -> bool:
        return bool(self.frames or self._reader.buffer)

    def _refuse_handshake(self) -> None:
        """Answer a head that HTTP's parser accepts and that of WebSockets refuses (uvicorn doesn't), and close."""
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or refused_handshake(400, "a handshake has no body").serialize())
        self.transport.close()

    # ---- reading: paused by the application, for the next turn, and until the handshake is done

    @property
    def is_held_back(self) -> bool:
        """Whether this side reads nothing now, though something may have come."""
        return self._holds_reading

    async def receive(self) -> Any:
        """Return the next event for the application."""
        event: Any = await self.queue.get()
        if self.queue.empty():
            self._app_reads_on()
        return event

    def _app_reads_on(self) -> None:
        self.read_paused = False
        self._read_on()

    def _hold_reading(self) -> None:
        if not self._holds_reading and not self.transport.is_closing():
            self._holds_reading = True
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if not self._holds_reading or self.read_paused or not self.handshake_complete or self.transport.is_closing():
            return
        if self._reader.has_more:
            if self._turn is None:
                queue = self.loop.call_soon if self.transport.is_known else self.bounds.strangers.wait
                self._turn = queue(self._next_turn)
            return
        self._holds_reading = False
        self.transport.resume_reading()
