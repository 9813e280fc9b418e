"""A scheduler that accepts a connection and then reads nothing: client and worker close the connection (R-13).

They have more to send than the kernel buffers, so that pings would wait behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from tests.e2e.processes import until
from voxpool.scheduler.protocol.codec import encode
from voxpool.scheduler.protocol.messages import Assign, Registered, Welcome
from voxpool.scheduler.sdk import Client, ClientClosed, SchedulerUnreachable, Work, Worker

PING_S = 0.5
LARGE = 9_000_000
PATIENCE_S = 30.0


class Stalling:
    """Greets each connection with `messages` and then reads nothing; it accepts `connections_max` connections."""

    def __init__(self, connections_max: int, *messages: msgspec.Struct) -> None:
        self.connections = 0
        self.url = ""
        self._connections_max = connections_max
        self._messages = messages
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Stalling]:
        """Listen at `url`."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        if self.connections == self._connections_max:
            self._server.close()
        protocol = ServerProtocol()
        while True:
            protocol.receive_data(await reader.read(65536))
            events = protocol.events_received()
            if any(isinstance(event, Frame) for event in events):
                break  # it has said hello
            for event in events:
                protocol.send_response(protocol.accept(event))  # type: ignore[arg-type]
                writer.write(b"".join(protocol.data_to_send()))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for message in self._messages:
            writer.write(Frame(Opcode.BINARY, encode(message, binary=True)).serialize(mask=False))


async def test_a_client_whose_submits_are_not_read_gives_up() -> None:
    """It takes at most give_up_s, two times ping_s, and the time for one more attempt, which is refused here."""
    door = Stalling(1, Welcome("s", {}))
    async with door.listening(), Client(door.url, ping_s=PING_S, give_up_s=1.0) as client:
        async with asyncio.timeout(PATIENCE_S):
            jobs = [client.submit(bytes(LARGE), "a:b") for _ in range(3)]
            answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(answer) for answer in answers] == [SchedulerUnreachable] * 3


async def test_a_client_can_be_closed_while_its_submits_are_not_read() -> None:
    async with Stalling(1, Welcome("s", {})).listening() as door:
        client = Client(door.url)
        async with client:
            job = asyncio.create_task(client.submit(bytes(LARGE), "a:b"))
            await until(lambda: client._session._requests and client.connects)
            async with asyncio.timeout(PATIENCE_S):
                await client.close()
        assert [type(answer) for answer in await asyncio.gather(job, return_exceptions=True)] == [ClientClosed]


async def test_a_worker_whose_results_are_not_read_reconnects() -> None:
    async def work(work: Work) -> str:
        return "x" * LARGE

    greeting = (Registered("g", 15_000, 45_000), *(Assign(f"j-{n}", 1, "a:b", b"audio", 60_000) for n in range(3)))
    async with Stalling(2, *greeting).listening() as door:
        worker = Worker(door.url, node_id="n", pairs=["a:b"], slots=3, work=work, ping_s=PING_S)
        serving = asyncio.create_task(worker.run())
        try:
            await until(lambda: door.connections == 2, PATIENCE_S)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
