"""A flush that was given up must not be carried out later: nobody would read that it took jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.servers import RedisServer, redis_server
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import Bounds, Submit
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.stores.script_sources import JOBS

TAKE = calls.take("a", 1, 0, [("p:q", 1, False)])


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class SlowNetwork:
    """Forwards connections to a port. It can keep what the present ones send, as lost packets that are sent again."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._is_over = asyncio.Event()
        """Set unless something is kept."""
        self._is_over.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SlowNetwork]:
        """Listen."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # closed transports release their sockets

    def hold(self) -> None:
        """Keep what the present connections send until `release`."""
        self._is_over.clear()
        self._kept = list(self._tasks)

    async def release(self) -> None:
        """Deliver what was kept, although its client has closed the connection; return when it was dealt with."""
        self._is_over.set()
        await asyncio.gather(*self._kept)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.create_task(_pump(there, writer))
        try:
            while data := await reader.read(1 << 16):
                if task in self._kept:
                    await self._is_over.wait()
                    with contextlib.suppress(OSError):  # the server has closed it
                        to_there.write(data)
                        to_there.write_eof()
                    await back
                    return
                to_there.write(data)
        finally:
            self._tasks.discard(task)
            back.cancel()
            writer.close()
            to_there.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward what a server answers until it closes the connection."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)


async def test_what_a_given_up_connection_sends_late_is_not_carried_out(server: RedisServer) -> None:
    """The network is silent for longer than a flush may take, and then delivers everything."""
    network = SlowNetwork(server.port)
    async with network.open():
        store = RedisStore(f"redis://127.0.0.1:{network.port}/0", layout=JOBS, answer_timeout_s=0.3)
        jobs = [Submit(f"0.{number}", "p:q", False, 0, 3, 10, "c", "", "m") for number in range(3)]
        beat = calls.beat("a", 1, 9_000, 8_000, 100, True)
        await store.run([beat, calls.submit("c", 1, 0, 8_000, Bounds(100, 10**9, 100), jobs)])
        network.hold()
        with pytest.raises(StoreUnavailable):
            await store.run([TAKE])
        (answer,) = await store.run([TAKE])
        assert [taken.job_id for taken in calls.taken_of(answer)] == ["0.0"]
        await network.release()
        (answer,) = await store.run([calls.mine("a")])
        assert [taken.job_id for taken in calls.taken_of(answer)] == ["0.0"]
        await store.close()
