"""After abnormal closes no map of the doors keeps an entry: real doors, core and store, in this process."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any

import msgspec
import pytest

from scheduler.clock import SystemClock
from scheduler.codec import encode
from scheduler.config import Settings
from scheduler.core import Core
from scheduler.messages import Hello, Register, Submit
from scheduler.seams import Observer
from scheduler.stores.memory import MemoryStore
from scheduler.telemetry.logs import Log
from scheduler.web.app import Doors
from scheduler.web.guard import open_to_all
from scheduler.web.health import Health
from scheduler.web.peer_socket import OnFrame, Received
from scheduler.web.results import Results

CLIENTS = 100_000
NODES = 5_000
BATCH = 500
AUDIO = b"RIFF\x00\x00\x00\x00WAVE"


class TornSocket:
    """What PeerSocket is to the doors, without a network: gives its frames, then the connection is gone."""

    peer = "nowhere"
    peer_said_goodbye = False
    cut_off = ""
    send_buffer_bytes_max = 0

    def __init__(self, *messages: msgspec.Struct) -> None:
        self._frames = deque(Received(encode(message, binary=True), True) for message in messages)
        self.torn = asyncio.Event()

    def send_frame(self, data: bytes, binary: bool) -> None:
        """It goes nowhere."""

    def serve(self, on_frame: OnFrame) -> None:
        while self._frames and on_frame(*self._frames[0]):
            self._frames.popleft()

    async def next_frame(self) -> Received | None:
        if self._frames:
            return self._frames.popleft()
        await self.torn.wait()
        return None

    async def answers(self, timeout_s: float) -> bool:
        return False

    def close_with(self, code: int, reason: str) -> None:
        self.torn.set()

    def abort(self, reason: str) -> None:
        self.torn.set()


class Inside:
    """Core and doors in this process."""

    def __init__(self, settings: Settings) -> None:
        self.results = Results(settings.waiters_max, 1000)
        self.core = Core.build(
            settings=settings,
            clock=SystemClock(),
            runner=MemoryStore(),
            sink=self.results,
            observer=Observer(),
            random=random.Random(1),
            instance="inside",
        )
        log = Log(lambda **fields: None, level=100)
        self.doors = Doors(settings, self.core, self.results, Health(), Observer(), random.Random(2), log)

    async def torn(self, door: Any, sockets: list[TornSocket], wait_for: Any) -> None:
        """Open all `sockets` at `door`, wait until they are at work, then tear them all."""
        tasks = [asyncio.create_task(door(_scope(socket), _receive, _send)) for socket in sockets]
        async with asyncio.timeout(30):
            while not wait_for():  # noqa: ASYNC110
                await asyncio.sleep(0)
        for socket in sockets:
            socket.torn.set()
        await asyncio.gather(*tasks)


def _scope(socket: TornSocket) -> dict[str, Any]:
    return {"state": {**open_to_all(), "socket": socket}}


async def _receive() -> dict[str, Any]:
    return {"type": "websocket.connect"}


async def _send(message: Any) -> None:
    """Accepted."""


@pytest.mark.alone
@pytest.mark.parametrize(("grace_s", "share"), [(0.0, 0.9), (0.2, 0.1)])
async def test_torn_connections_of_clients_leave_nothing(grace_s: float, share: float) -> None:
    """Each has a job that nobody serves; after the grace all are cancelled and nobody waits for anything."""
    inside = Inside(Settings(session_grace_s=grace_s, retention_s=0.001, cleanup_interval_s=0.1, waiting_timeout_s=600))
    inside.core.start()
    sessions, results, table = inside.doors.sessions, inside.results, inside.core.table
    for first in range(0, round(share * CLIENTS), BATCH):
        names = [f"s{first + number}" for number in range(BATCH)]
        await inside.torn(
            sessions,
            [TornSocket(Hello(session_id=name), Submit(name, "a:b", AUDIO)) for name in names],
            lambda: len(results) == BATCH,
        )
        assert len(results) == 0, "nobody waits behind a torn connection"
    async with asyncio.timeout(20):
        while len(sessions) or len(table):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (len(sessions), len(results), len(table), inside.core.waiting.total) == (0, 0, 0, 0)
    await inside.core.stop()


@pytest.mark.alone
async def test_torn_connections_of_nodes_leave_nothing() -> None:
    """Each has a name of its own; neither the doors nor the store know any of them afterwards."""
    inside = Inside(Settings())
    inside.core.start()
    fleet = inside.core.fleet
    for first in range(0, NODES, BATCH):
        registers = [Register(f"n{first + number}", "p", ["a:b"], 1, []) for number in range(BATCH)]
        await inside.torn(
            inside.doors.nodes, [TornSocket(register) for register in registers], lambda: len(fleet) == BATCH
        )
        assert len(fleet) == 0
    async with asyncio.timeout(20):
        while not inside.core.queue.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    runner = inside.core.queue._runner
    assert isinstance(runner, MemoryStore)
    assert sum(runner.census().values()) == 0, runner.census()
    assert inside.doors.nodes.connections == 0
    await inside.core.stop()
