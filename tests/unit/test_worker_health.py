"""The health port of a worker: there from the start, ready only while it is registered and takes jobs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from tests.e2e.processes import until
from tests.unit.played_scheduler import PlayedScheduler, registered
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.messages import Drain, Reregister
from voxpool.scheduler.sdk import Work, Worker
from voxpool.scheduler.sdk.wire.health_port import CONNECTIONS_MAX, HealthPort

PATIENCE_S = 60.0


async def asked(port: int, path: str) -> tuple[int, str]:
    """Return status and text of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body.strip()


async def until_ready(port: int, expected: tuple[int, str]) -> None:
    """Ask until that answer comes; a connection that is cut off is tried again."""
    answer: object = None
    async with asyncio.timeout(PATIENCE_S):
        while answer != expected:
            with contextlib.suppress(OSError, IndexError):
                answer = await asked(port, "/readyz")


async def test_a_worker_is_ready_while_it_is_registered(scheduler: PlayedScheduler) -> None:
    loaded, ends = asyncio.Event(), asyncio.Event()

    async def setup() -> None:
        await loaded.wait()

    async def work(work: Work) -> Any:
        await ends.wait()

    node = Worker("ws://127.0.0.1:1", node_id="n", pairs=["a:b"], work=work, setup=setup, health_port=0)
    running = asyncio.create_task(node.run())
    port = await until(lambda: node.health_port, PATIENCE_S)
    assert port is not None
    assert await asked(port, "/readyz") == (503, "setting up")
    assert await asked(port, "/healthz") == (200, "setting up")
    assert await asked(port, "/secret") == (404, "there are /healthz and /readyz")
    loaded.set()
    await until_ready(port, (503, "connecting"))
    first = await scheduler.connected(1)
    first.say(registered())
    await until_ready(port, (200, "registered"))
    first.say(Reregister("lease_ended"))
    await until_ready(port, (503, "connecting"))
    first.say(registered())
    await until_ready(port, (200, "registered"))
    first.cut()
    await until_ready(port, (503, "connecting"))
    second = await scheduler.connected(2)
    second.say(registered())
    await until_ready(port, (200, "registered"))
    second.takes.clear()
    node.stop()
    await until_ready(port, (503, "draining"))
    second.takes.set()
    await running
    assert second.of_kind(Drain)
    with pytest.raises(OSError):
        await asked(port, "/healthz")


async def test_strangers_cost_a_bounded_number_of_connections() -> None:
    """Connections that ask nothing; a further one is cut off, and a place is free when one of them has ended."""
    health = HealthPort("127.0.0.1", 0, lambda: "registered")
    await health.open()
    try:
        silent = [await asyncio.open_connection("127.0.0.1", health.port) for _ in range(CONNECTIONS_MAX)]
        with pytest.raises((OSError, IndexError)):
            await asked(health.port, "/readyz")
        silent[0][1].close()
        await until_ready(health.port, (200, "registered"))
        for _, writer in silent[1:]:
            writer.close()
    finally:
        await health.close()


async def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = Worker("ws://127.0.0.1:1", node_id="n", pairs=["a:b"], work=lambda work: None, health_port=port)
        with pytest.raises(ConfigError, match=f"health port: 127.0.0.1:{port}: Address already in use"):
            await node.run()
