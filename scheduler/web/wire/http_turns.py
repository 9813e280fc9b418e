"""HTTP of one connection in turns: how much of what has come is parsed before others run.

The rest is parsed next, before more is read. BoundedHttp, which derives from it, knows what a request is and whether
it may go on.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from voxpool.scheduler.web.wire.allowance import (
    PARSED_BYTES_A_STEP,
    PARSED_BYTES_A_STEP_MAX,
    PARTS_A_TURN,
    SMALL_CHUNKS_FREE,
    SMALL_PART_BYTES,
    Bounds,
    SmallParts,
)
from voxpool.scheduler.web.wire.bounded_transport import BoundedTransport
from voxpool.scheduler.web.wire.connections import connection_of
from voxpool.scheduler.web.wire.turn_queue import Turn


class TurnFlow(FlowControl):
    """Lets `protocol` parse what has come before more is read."""

    def __init__(self, transport: asyncio.Transport, protocol: HttpInTurns) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        """Go on."""
        if self.read_paused and not self._protocol.parses_later():
            super().resume_reading()


class HttpInTurns(HttpToolsProtocol):
    """uvicorn's protocol, whose parser yields to the loop."""

    bounds: ClassVar[Bounds]
    transport: BoundedTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refused = False
        """Whether nothing that comes is parsed any more."""
        self._rest: bytes | memoryview = b""
        """What has come and is left for the next turn."""
        self._turn: asyncio.Handle | Turn | None = None
        self._parts = 0
        """Parts of bodies in this turn."""
        self._small_now = 0
        """Small chunks in this turn that count."""
        self._chunk_bytes = 0
        self._small_of_request = 0
        self._small_parts = SmallParts(self.bounds.small_parts_per_s_max, self.loop.time())

    def _take(self, step: bytes | memoryview, is_last: bool) -> bool:
        """Parse one step; return whether the connection goes on."""
        raise NotImplementedError

    def _refuse(self, reason: str) -> None:
        """Answer and end the connection."""
        raise NotImplementedError

    def _is_known(self) -> bool:
        """Return whether the peer is known."""
        connection = connection_of(self.app_state)
        return connection is not None and connection.is_known

    def _come(self, data: bytes) -> None:
        """Parse what has come, or keep it until it is this peer's turn."""
        if self._rest:  # a transport may bring some although its reading is paused
            self._rest = bytes(self._rest) + data
        elif self._is_known() or self.bounds.strangers.take():
            self._parse(data)
        else:
            self._rest = data
            self.flow.pause_reading()
            self.parses_later()

    def _parse(self, data: bytes | memoryview) -> bool:
        """Parse in steps, until the bound of a turn is reached or requests wait for earlier ones.

        Returns whether the connection goes on.
        """
        self._unset_keepalive_if_required()
        self._parts = self._small_now = 0
        at, end, size = 0, len(data), PARSED_BYTES_A_STEP
        while at < end and self._parts < PARTS_A_TURN and not self.pipeline:
            step = data if end <= PARSED_BYTES_A_STEP else memoryview(data)[at : at + size]
            at += len(step)
            parts = self._parts
            if not self._take(step, at == end):
                return False
            is_one_part = self._parts == parts + 1  # of a large body, which costs next to nothing
            size = min(2 * size, PARSED_BYTES_A_STEP_MAX) if is_one_part else PARSED_BYTES_A_STEP
        if self._small_now and not self._small_parts.allow(self._small_now, self.loop.time()):
            self._refuse("small_parts")
            return False
        if at < end:
            self._rest = memoryview(data)[at:]
            self.flow.pause_reading()
            if not self.pipeline:
                self.parses_later()
        return True

    def parses_later(self) -> bool:
        """Return whether something is left to parse; if so, it is the next thing to do."""
        if not self._rest:
            return False
        if self._turn is None:
            queue = self.loop.call_soon if self._is_known() else self.bounds.strangers.wait
            self._turn = queue(self._next_turn)
        return True

    def _next_turn(self) -> None:
        self._turn = None
        if self.pipeline or self._refused or self.transport.is_closing():
            return
        rest, self._rest = self._rest, b""
        self._parse(rest)
        is_waited_for = self.pipeline or (self.cycle is not None and len(self.cycle.body) > HIGH_WATER_LIMIT)
        if not self._rest and not is_waited_for and not self.transport.is_closing():
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._chunk_bytes = self._small_of_request = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A part of a body, which may be a part of a chunk."""
        self._parts += 1
        self._chunk_bytes += len(body)
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        """A chunk is complete; the last one of a body is always small, and a few more may be."""
        if self._chunk_bytes < SMALL_PART_BYTES:
            self._small_of_request += 1
            self._small_now += self._small_of_request > SMALL_CHUNKS_FREE
        self._chunk_bytes = 0

    def _stop_parsing(self) -> None:
        """Forget what was left for the next turn."""
        self._rest = b""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answered(scope: Any, receive: Any, send: Any) -> None:
            async def sent(message: Any) -> None:
                if cycle.more_body and message["type"] == "http.response.start" and not self._is_worth_parsing(cycle):
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, sent)

        super()._start_asgi_task(cycle, answered)

    def _is_worth_parsing(self, cycle: RequestResponseCycle) -> bool:
        """Return whether the rest of a body is read although its request is answered, to keep the connection.

        That costs next to nothing when its length was given; but a stranger has no reason to go on.
        """
        self.transport.is_known = self._is_known()
        lengths = [int(value) for name, value in cycle.scope["headers"] if name == b"content-length"]
        is_bounded = bool(lengths) and lengths[0] <= self.bounds.request_bytes_max
        return self.transport.is_known and is_bounded and not cycle.waiting_for_100_continue
