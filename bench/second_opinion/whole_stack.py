"""Runs serve(), two SDK workers and an SDK client on the loop and network of simloom, an independent simulator.

Needs Python 3.12 or newer and the package simloom, which nothing else here does (docs/reports/second-opinion.md):
`make second-opinion` installs and runs it. Exit code 1 when a seed fails.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import simloom

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.sdk import Client, Work, Worker
from voxpool.scheduler.service.machine import Machine
from voxpool.scheduler.service.serve import serve
from voxpool.scheduler.telemetry.logs.events import LEVELS
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.app import Doors
from voxpool.sim.wire.audio import wav

ADDRESS, PORT = "10.0.0.1", 8080
URL = f"ws://{ADDRESS}:{PORT}"
PAIR = "en:en"
JOBS = 20
SECONDS = 600.0
"""Virtual time within which everything ends."""


class Accepted:
    """What `accept` returns: a connection of simloom, whose protocol is not chosen yet."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def setblocking(self, blocking: bool) -> None:
        pass

    def close(self) -> None:
        self.transport.close()


class Waiting(asyncio.Protocol):
    """The protocol of a connection until it is accepted; what arrives waits in the transport."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()
        self._listener.backlog.append(Accepted(transport))
        self._listener.readable()


class Listener:
    """Stands for the listening socket, of which simloom has none: production accepts when it is readable."""

    def __init__(self) -> None:
        self.backlog: deque[Accepted] = deque()
        self.readable: Callable[[], None] = lambda: None

    def accept(self) -> tuple[Accepted, tuple[str, int]]:
        if not self.backlog:
            raise BlockingIOError
        accepted = self.backlog.popleft()
        return accepted, accepted.transport.get_extra_info("peername")

    def getsockname(self) -> tuple[str, int]:
        return ADDRESS, PORT

    def close(self) -> None:
        pass

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class SimloomMachine(Machine):
    """The computer of a scheduler in a universe of simloom."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self.core: Core | None = None

    def random(self) -> random.Random:
        return random.Random(self._seed)

    def listen(self, settings: Settings) -> Any:
        return Listener()

    def within_limits(self, settings: Settings, log: Log) -> Settings:
        return settings

    def built(self, core: Core, doors: Doors) -> None:
        self.core = core

    def started(self) -> None:
        pass


def fitted(loop: Any) -> dict[int, Callable[[], None]]:
    """Give the loop of simloom what it refuses: signals, which are returned, and an accept by readiness."""
    signals: dict[int, Callable[[], None]] = {}
    servers: list[asyncio.Task[Any]] = []

    def add_signal_handler(number: int, handler: Callable[..., None], *args: Any) -> None:
        signals[number] = lambda: handler(*args)

    def add_reader(listener: Listener, callback: Callable[[], None]) -> None:
        listener.readable = callback
        servers.append(loop.create_task(loop.create_server(lambda: Waiting(listener), ADDRESS, PORT)))

    def remove_reader(listener: Listener) -> bool:
        while servers:
            servers.pop().result().close()
        return True

    async def connect_accepted_socket(factory: Callable[[], Any], accepted: Accepted, **options: Any) -> Any:
        protocol = factory()
        accepted.transport.set_protocol(protocol)
        protocol.connection_made(accepted.transport)
        accepted.transport.resume_reading()
        return accepted.transport, protocol

    loop.add_signal_handler = add_signal_handler
    loop.remove_signal_handler = lambda number: signals.pop(number, None) is not None
    loop.add_reader, loop.remove_reader = add_reader, remove_reader
    loop.connect_accepted_socket = connect_accepted_socket
    return signals


def audio_of(seed: int, number: int) -> bytes:
    """Return the audio of a request, different from all others."""
    return wav(f"{seed}/{number}", 1000)


def digest(audio: bytes) -> str:
    """Return the output of the work on `audio`."""
    return hashlib.blake2b(audio, digest_size=8).hexdigest()


async def universe(world: Any, seed: int) -> None:
    """Twenty jobs, a node that crashes and comes back, a partition; each request has one result, its own."""
    chance = random.Random(seed)
    signals = fitted(asyncio.get_running_loop())
    world.net.set_latency(0.0005, 0.01)
    machine = SimloomMachine(seed)
    settings = msgspec.convert({"host": ADDRESS, "port": PORT, "store": "memory", "drain_s": 1.0}, Settings)
    log = Log(lambda event, fields: None, LEVELS["error"], SystemClock())
    server = world.host("scheduler").spawn(serve(settings, log, machine))

    async def work(work: Work) -> str:
        await asyncio.sleep(chance.uniform(0.05, 2.0))
        return digest(work.audio)

    def node(name: str) -> Worker:
        return Worker(URL, node_id=name, pairs=[PAIR], work=work, slots=2, random=random.Random(f"{seed}/{name}"))

    hosts = [world.host(f"node-{number}") for number in range(2)]
    for host in hosts:
        host.spawn(lambda host=host: node(host.name).run())  # a restart runs it again
    answers: dict[str, list[Any]] = {}

    async def submit(client: Client, number: int) -> None:
        await asyncio.sleep(chance.uniform(0.0, 10.0))
        name = f"r{number}"
        result = await client.submit(audio_of(seed, number), PAIR, request_id=name)
        answers.setdefault(name, []).append(result)

    async def breaks() -> None:
        await asyncio.sleep(chance.uniform(1.0, 5.0))
        hosts[0].crash()
        await asyncio.sleep(chance.uniform(0.1, 5.0))
        hosts[0].restart()
        world.net.partition([hosts[1]], [world.host("scheduler")])
        await asyncio.sleep(chance.uniform(0.1, 5.0))
        world.net.heal()

    async def client() -> None:
        late: list[Any] = []
        one = Client(URL, on_result=late.append, retry_s=60.0, random=random.Random(f"{seed}/client"))
        async with one, asyncio.TaskGroup() as group:
            for number in range(JOBS):
                group.create_task(submit(one, number))
        assert not late, late

    await asyncio.sleep(0.5)
    if server.done():
        await server
    async with asyncio.timeout(SECONDS):
        tasks = [world.host("client").spawn(client()), asyncio.ensure_future(breaks())]
        for task in tasks:
            await task
        for number in range(JOBS):
            (result,) = answers[f"r{number}"]
            assert result.state == "completed", result
            assert result.output == digest(audio_of(seed, number)), result
        core = machine.core
        assert core is not None
        assert core.table.unfinished == 0 and not any(known.reservations for known in core.node_registry.nodes.values())
        for host in hosts:
            host.crash()
        signals[signal.SIGTERM]()
        assert await server == 0


def main() -> int:
    """Run the seeds from 1 on, print each, and return the exit code."""
    failed = 0
    for seed in range(1, int(sys.argv[1] if len(sys.argv) > 1 else 20) + 1):
        began = time.perf_counter()

        def one(world: Any, seed: int = seed) -> Any:
            return universe(world, seed)

        try:
            simloom.run(one, seed=seed, virtual_time=True, seed_randomness=True)
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            if "-v" in sys.argv:
                raise
        else:
            print(f"seed {seed}: ok, {time.perf_counter() - began:.2f} s", flush=True)
        gc.collect()
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
