"""The endpoint of sessions on a core without roles, and sockets that a test reads and writes; in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, TypeVar

import msgspec

from tests.unit.rig import Rig
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.protocol import codec
from voxpool.scheduler.protocol.messages import Accepted, Hello, JobResult, RejectedSubmit, Submit, Welcome
from voxpool.scheduler.security.caller import ANYBODY, Caller, Role
from voxpool.scheduler.telemetry.logs.events import Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.gates.authorization import open_to_all
from voxpool.scheduler.web.gates.rate_limit import RateLimit
from voxpool.scheduler.web.sessions.door import SessionDoor
from voxpool.scheduler.web.sessions.results import Results
from voxpool.scheduler.web.wire.frame_socket import OnFrame, Received

M = TypeVar("M")
PAIR = "zh:en"
PEER = "10.0.0.1:1"
CLIENTS = frozenset({Role.CLIENT, Role.ADMIN})
WAV = b"RIFF\x00\x00\x00\x00WAVE"


class Socket:
    """A FrameSocket whose peer is the test."""

    def __init__(self) -> None:
        self.peer = PEER
        self.cut_off = ""
        self.peer_said_goodbye = False
        self.send_buffer_bytes_max = 0
        self.unsent = 0
        """Bytes that wait to be sent."""
        self.binary = True
        self.got: list[Any] = []
        """Messages that the client has received."""
        self.closed: tuple[int, str] | None = None
        self.is_known = False
        self._frames: asyncio.Queue[Received | None] = asyncio.Queue()
        self._on_frame: OnFrame | None = None

    # ---- the client

    def say(self, message: msgspec.Struct) -> None:
        """Send a message to the scheduler."""
        self.write(codec.encode(message, self.binary))

    def write(self, data: bytes) -> None:
        """Send a raw frame."""
        if self._on_frame is None or not self._on_frame(data, self.binary):
            self._frames.put_nowait(Received(data, self.binary))

    def submit(self, *names: str, **fields: Any) -> None:
        for name in names:
            self.say(Submit(name, PAIR, WAV, **fields))

    def leave(self, goodbye: bool = False) -> None:
        """Close the connection."""
        self.peer_said_goodbye = goodbye
        self._on_frame = None
        self._frames.put_nowait(None)

    def of_kind(self, kind: type[M]) -> list[M]:
        """Return the messages of that kind that the client has received."""
        return [message for message in self.got if isinstance(message, kind)]

    @property
    def results(self) -> list[tuple[int | None, str]]:
        """Return number and request id of each result that the client has received."""
        return [(result.number, result.request_id) for result in self.of_kind(JobResult)]

    @property
    def refusals(self) -> list[tuple[str, str]]:
        """Return request id and reason of each rejected submit."""
        return [(refused.request_id, refused.reason) for refused in self.of_kind(RejectedSubmit)]

    def job_id(self, name: str) -> str:
        """Return the id of the latest job that was accepted under that request id."""
        return next(one.job_id for one in reversed(self.of_kind(Accepted)) if one.request_id == name)

    # ---- called by the endpoint

    @property
    def unsent_bytes(self) -> int:
        return self.unsent

    def send_frame(self, data: bytes, binary: bool) -> None:
        assert binary == self.binary
        self.got.append(codec.to_client.decode(data, binary))

    def now_known(self) -> None:
        self.is_known = True

    def serve(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame

    async def next_frame(self) -> Received | None:
        return await self._frames.get()

    async def answers(self, timeout_s: float) -> bool:
        return True

    def close_with(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)
        self.leave()

    def abort(self, reason: str) -> None:
        self.cut_off = reason
        self.leave()


class Refusals(Observer):
    """Counts rejections."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def job_rejected(self, pair: str, reason: str) -> None:
        assert pair == PAIR
        self.of[reason] += 1

    def connection_refused(self, peer: str, reason: str) -> None:
        assert peer == PEER
        self.of[f"connection {reason}"] += 1


class Place:
    """One scheduler with an endpoint of sessions."""

    def __init__(self, **settings: Any) -> None:
        self.settings = msgspec.convert({"session_grace_s": 30.0, "in_order_grace_s": 10.0, **settings}, Settings)
        self.logged: list[dict[str, Any]] = []
        self.refusals = Refusals()
        self.results = Results(self.settings.result_waiters_max, 1000)
        self.rig = Rig(settings=self.settings, sink=self.results)
        self._node: Node | None = None
        self.dispatcher = self.rig.dispatcher
        self.rate_limit = RateLimit(self.settings, self.rig.core.table, self.refusals, {})
        log = Log(self._note, 0, self.rig.clock)
        self.door = SessionDoor(
            self.settings, self.dispatcher, self.rate_limit, self.results, self.refusals, random.Random(1), log
        )

    def _note(self, event: Event, fields: dict[str, Any] | str) -> None:
        assert isinstance(fields, dict)
        self.logged.append({"event": event, **fields})

    async def connect(
        self, hello: Any = None, caller: Caller | None = ANYBODY, binary: bool = True, **state: Any
    ) -> Socket:
        """Return a connection whose client has sent `hello`; `state` is of the scope."""
        socket = Socket()
        socket.binary = binary
        state = {**open_to_all(), "caller": caller, "socket": socket, "roles": CLIENTS, **state}

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            assert message == {"type": "websocket.accept"}

        asyncio.get_running_loop().create_task(self.door({"type": "websocket", "state": state}, receive, send))
        if hello is not None:
            socket.say(hello)
        await asyncio.sleep(0.001)
        return socket

    async def client(self, **fields: Any) -> Socket:
        """Return the welcomed connection of session s, which acknowledges by default."""
        return await self.connect(Hello(**{"session_id": "s", "acks": True, **fields}))

    async def back(self, socket: Socket, ack: int, **fields: Any) -> Socket:
        """Return the next connection of the client of `socket`, which has handled the results up to `ack`."""
        generation = socket.of_kind(Welcome)[0].generation
        return await self.client(resume=True, generation=generation, ack=ack, **fields)

    def job(self, name: str, owner: str = "") -> Job:
        """Return the job of that request."""
        job = self.rig.core.table.find_request(name, owner)
        assert job is not None
        return job

    async def end(self, *names: str) -> None:
        """Complete the jobs of these requests."""
        if self._node is None:
            self._node, _ = await self.rig.node("n1", [PAIR], slots=100)
        await self.rig.settle()
        for name in names:
            await self.rig.answer(self._node, self.job(name), f"out of {name}")
