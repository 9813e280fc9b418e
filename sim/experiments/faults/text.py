"""The scenario of `faults` about malformed text, R20: the node endpoint, run without sockets in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.protocol.codec import encode
from voxpool.scheduler.protocol.messages import NodeResult, Register, WorkError
from voxpool.scheduler.web.gates.authorization import open_to_all
from voxpool.scheduler.web.nodes import NodeDoor
from voxpool.scheduler.web.wire.frame_socket import FrameSocket, OnFrame, Received
from voxpool.sim.experiments.faults.without.text import CleansUpAtTheEnd
from voxpool.sim.experiments.rows import Figures, Stage
from voxpool.sim.world.world import World

PAIR = "zh:en"
TEXT = "错误" * 150
"""900 bytes in UTF-8: byte 500 is the second one of a character."""
MALFORMED = (
    Received(b'{"type":"result","job_id":"\xe9\x94', False),
    Received("错误".encode()[:5], False),
    Received(b"\x82\xa4type\xa6result\xa6job_id\xda\x01\xf4" + TEXT.encode()[:499], True),
    Received(b'{"type":"result","job_id":1,"attempt":"one"}', False),
    Received(b"", True),
)
"""Frames that no node may send: text and MessagePack that end inside a character, wrong types, nothing."""


class PlainSocket:
    """The connection that the node endpoint needs: frames arrive one by one, sent ones are counted."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.send_buffer_bytes_max = 0
        self.sent = 0
        self.cut_off = ""
        self._frames: asyncio.Queue[Received | None] = asyncio.Queue()

    @property
    def peer_said_goodbye(self) -> bool:
        """False: the peer sends no goodbye."""
        return False

    def comes(self, frame: Received) -> None:
        """Receive a frame."""
        self._frames.put_nowait(frame)

    async def next_frame(self) -> Received | None:
        """Return the next frame, or None at the end."""
        return await self._frames.get()

    @property
    def unsent_bytes(self) -> int:
        """0: its peer takes all."""
        return 0

    def now_known(self) -> None:
        """Do nothing: the size of frames is not limited here."""

    def serve(self, on_frame: OnFrame) -> None:
        """Do nothing: frames are read by next_frame."""

    def send_frame(self, data: bytes, binary: bool) -> None:
        """Send a frame."""
        self.sent += 1

    def close_with(self, code: int, reason: str) -> None:
        """Close."""
        self._frames.put_nowait(None)

    def abort(self, reason: str) -> None:
        """Abort the connection."""
        self._frames.put_nowait(None)

    async def answers(self, timeout_s: float) -> bool:
        """False: it does not answer a ping."""
        return False


async def _accept() -> dict[str, Any]:
    return {"type": "websocket.connect"}


async def _ignore(message: Any) -> None:
    pass


def _log_nothing(*_: Any, **__: Any) -> None:
    pass


class _Handlers:
    """Runs the node endpoint for each connection, and records the handlers that ended with an exception."""

    def __init__(self, world: World, door: NodeDoor) -> None:
        self.died: list[str] = []
        self._world = world
        self._door = door

    def connect(self, node_id: str) -> PlainSocket:
        """Connect and register a node."""
        socket = PlainSocket(node_id)
        socket.comes(Received(encode(Register(node_id, f"{node_id}.1", [PAIR], 1, []), False), False))
        self._world.loop.create_task(self._handle(socket))
        return socket

    async def _handle(self, socket: PlainSocket) -> None:
        whole: FrameSocket = socket  # a check by mypy, because a scope is untyped
        try:
            await self._door({"state": {**open_to_all(), "socket": whole}}, _accept, _ignore)
        except Exception as error:
            self.died.append(f"{socket.peer}: {type(error).__name__}")


def text_is_malformed(stage: Stage) -> Figures:
    """R20: every node fails its job with a long text in Chinese, then sends a malformed frame, a different one each."""
    world = stage.world(content=False)  # frames are really encoded: audio is plain bytes
    settings, desk = world.settings, world.core.node_events
    kind = NodeDoor if stage.has_fix else CleansUpAtTheEnd
    door = kind(settings, desk, Observer(), _log_nothing, 1000)  # type: ignore[arg-type]
    handlers = _Handlers(world, door)
    sockets: dict[str, PlainSocket] = {}
    for number in range(stage.size.nodes):
        node_id = f"says-{number}"
        with world.loop.entered():
            sockets[node_id] = handlers.connect(node_id)
        world.run(for_s=0.1)
    jobs = [world.submit(PAIR, work_s=1.0) for _ in range(stage.size.nodes)]
    world.run(for_s=0.1)
    for job in jobs:
        result = NodeResult(job.job_id, job.attempt, error=WorkError(TEXT))
        sockets[job.node_id].comes(Received(encode(result, False), False))
    world.run(for_s=1)
    for number, socket in enumerate(sockets.values()):
        socket.comes(MALFORMED[number % len(MALFORMED)])
    world.run(for_s=1)
    figures: Figures = {
        "died": len(handlers.died),
        "left_behind": len(world.core.node_registry),
        "unended": sum(not job.ended for job in jobs),
        "longest_reason": max(len(job.reason) for job in jobs),
    }
    stage.end(world)
    return figures
