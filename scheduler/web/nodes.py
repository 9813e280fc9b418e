"""The door of worker nodes, /ws/node: register, heartbeats and results come in, assigns and cancels go out."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from starlette.types import Receive, Scope, Send

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.errors import BadInput, NodeRefused
from voxpool.scheduler.protocol import close_codes, codec
from voxpool.scheduler.protocol.messages import (
    PROTOCOL,
    Error,
    FromNode,
    Heartbeat,
    NodePartial,
    NodeResult,
    Register,
    Registered,
    ToNode,
    WorkError,
)
from voxpool.scheduler.security.authentication import FORBIDDEN, AccessRefused
from voxpool.scheduler.security.caller import Caller
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.gates.authorization import admit, let_in
from voxpool.scheduler.web.wire.cut_offs import CutOffs
from voxpool.scheduler.web.wire.frame_socket import FrameSocket


class NodeDoor:
    """The ASGI application behind /ws/node. `frame_bytes_max` is the largest frame that an assign can be."""

    def __init__(
        self, settings: Settings, desk: NodeEvents, observer: Observer, log: Log, frame_bytes_max: int
    ) -> None:
        self.settings = settings
        self.desk = desk
        self.observer = observer
        self.log = log
        self.frame_bytes_max = frame_bytes_max
        self.connections = 0
        self.cut_offs = CutOffs()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        socket: FrameSocket = scope["state"]["socket"]
        await receive()  # the request to connect
        await send({"type": "websocket.accept"})
        self.connections += 1
        connection = NodeConnection(self, socket, scope)
        try:
            await connection.run()
        finally:
            self.connections -= 1
            connection.release()
            if connection.node is not None:
                self.cut_offs.remember(connection.node.node_id, socket.cut_off)
                self.desk.left(connection.node)


class NodeConnection:
    """One connection of a node: the NodeLink of NodeEvents, and the translation of the node's messages."""

    def __init__(self, door: NodeDoor, socket: FrameSocket, scope: Scope) -> None:
        self.node: Node | None = None
        self._scope = scope
        self._caller: Caller | None = None
        self._let_in = contextlib.ExitStack()
        self._door = door
        self._desk = door.desk
        self._socket = socket
        self._binary = False

    # ---- NodeLink

    def send(self, message: ToNode) -> None:
        """Send `message`."""
        if isinstance(message, Registered):
            message.output_bytes_max = self._door.settings.output_bytes_max
            if self.node is not None:
                message.cut_off = self._door.cut_offs.take(self.node.node_id)
        self._socket.send_frame(codec.encode(message, self._binary), self._binary)

    def close(self, reason: str) -> None:
        """Close the connection."""
        self._socket.close_with(close_codes.REPLACED if reason == "replaced" else close_codes.NORMAL, reason)

    async def probe(self) -> bool:
        """Ping the node."""
        return await self._socket.answers(self._door.settings.probe_s)

    # ---- the node's messages

    async def run(self) -> None:
        """Register the node, then take its messages until the connection ends."""
        try:
            async with asyncio.timeout(self._door.settings.greeting_s):
                received = await self._socket.next_frame()
        except TimeoutError:
            self._socket.abort("no_greeting")
            return
        if received is not None:
            self._binary = received.binary
        while received is not None:
            taken = self.node is not None and self._on_frame(*received)
            if not taken and not await self._register(*received):
                return
            self._socket.serve(self._on_frame)
            await asyncio.sleep(0)
            received = await self._socket.next_frame()

    async def _register(self, data: bytes, binary: bool) -> bool:
        """Take a register, the only message that has to wait for something: a ping to an older connection."""
        node_id = ""
        try:
            register: FromNode = codec.from_node.decode(data, binary)
            if not isinstance(register, Register):
                raise BadInput("register_first", "the first message of a node is register")
            if register.protocol != PROTOCOL:
                raise BadInput("bad_protocol", f"protocol {register.protocol} is unknown; this is protocol {PROTOCOL}")
            if self.node is not None and register.node_id != self.node.node_id:
                raise BadInput("bad_node_id", f"this connection belongs to {self.node.node_id}")
            node_id = register.node_id
            owner = self._admit(register)
            owed = register.slots * self._door.frame_bytes_max
            self._socket.send_buffer_bytes_max = max(self._door.settings.send_buffer_bytes_max, owed)
            self.node = await self._desk.joined(self, register, owner)
        except BadInput as error:
            self._refuse(error)
            return False
        except AccessRefused as refused:
            self._door.observer.connection_refused(self._socket.peer, refused.reason)
            self._turn_away(refused.reason, refused.detail)
            return False
        except NodeRefused as refused:
            self._door.log(Event.NODE_REFUSED, node_id=node_id, peer=self._socket.peer, reason=refused.reason)
            self._turn_away(refused.reason, refused.detail)
            return False
        return True

    def _admit(self, register: Register) -> str:
        """Return the owner of the node that registers; the connection stays with its first caller."""
        caller = admit(self._scope, register.token)
        if self._caller is None:
            self._let_in.enter_context(let_in(self._scope, caller, self._socket))
            self._caller = caller
        elif caller.digest != self._caller.digest:
            raise AccessRefused(FORBIDDEN, "this connection belongs to another token")
        return caller.name

    def release(self) -> None:
        """The connection is gone."""
        self._let_in.close()

    def _on_frame(self, data: bytes, binary: bool) -> bool:
        """Handle one message; a register is handled by a task."""
        node = self.node
        assert node is not None
        try:
            message: FromNode = codec.from_node.decode(data, binary)
        except BadInput as error:
            self._refuse(error)
            return True
        if isinstance(message, NodeResult):
            self._desk.result(node, self._checked(message))
        elif isinstance(message, Heartbeat):
            self._desk.heartbeat(node, message)
        elif isinstance(message, NodePartial):
            if self._desk.wants(node, message) and self._wrong_with(message.job_id, message.output) is None:
                self._desk.partial(node, message)
        elif isinstance(message, Register):
            return False
        else:
            self._desk.drain(node, message.on)
        return True

    def _checked(self, result: NodeResult) -> NodeResult:
        """Return `result`, or an error in its place when its output can't be passed on."""
        wrong = None if result.error or result.busy else self._wrong_with(result.job_id, result.output)
        if wrong is None:
            return result
        return NodeResult(result.job_id, result.attempt, error=WorkError(wrong.reason, detail=wrong.detail))

    def _wrong_with(self, job_id: str, output: Any) -> BadInput | None:
        """Return why `output` can't be passed on, and report it to the node; None when it can."""
        try:
            codec.check_output(output, self._door.settings.output_bytes_max)
        except BadInput as error:
            self._door.log(Event.BAD_MESSAGE, peer=self._socket.peer, job_id=job_id, reason=error.reason)
            self.send(Error(error.reason, error.detail))
            return error
        return None

    def _refuse(self, error: BadInput) -> None:
        """Send the error and close: a node that violates the protocol gets no jobs."""
        node_id = self.node.node_id if self.node is not None else None
        self._door.log(Event.BAD_MESSAGE, peer=self._socket.peer, node_id=node_id, reason=error.reason)
        self._turn_away(error.reason, error.detail)

    def _turn_away(self, reason: str, detail: str) -> None:
        self.send(Error(reason, detail))
        self._socket.close_with(close_codes.POLICY, reason)
