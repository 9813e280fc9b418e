"""Open connections and descriptors are bounded from the accept on; idle peers are closed to make room."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import httpx

from tests.certificates import make_certificate
from tests.e2e.processes import Scheduler, until
from tests.e2e.test_processes import started
from tests.e2e.test_strangers import is_well

CONNECTIONS_MAX = 50
BESIDE = 32
"""Room for unknown connections beside the known ones, and for one that is being closed."""


class Confined(Scheduler):
    """A scheduler that may open 256 files."""

    program = ("prlimit", "--nofile=256:256", *Scheduler.program)


def silent(port: int, count: int) -> list[socket.socket]:
    """Open `count` connections that send nothing."""
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]


def still_open(connections: list[socket.socket]) -> int:
    """Count the connections that the other end has not closed."""
    count = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            count += connection.recv(1) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


async def test_connections_max_counts_connections_and_not_requests(folder: Path) -> None:
    """Idle connections are closed to make room, the oldest first; a new one is answered as usual."""
    flags = ("--connections-max", str(CONNECTIONS_MAX), "--head-s", "60")
    with started(Scheduler(folder, "memory", *flags)) as scheduler, contextlib.ExitStack() as closing:
        connections = silent(scheduler.port, 6 * CONNECTIONS_MAX)
        for connection in connections:
            closing.callback(connection.close)
        await until(lambda: still_open(connections) <= CONNECTIONS_MAX + BESIDE)
        assert await is_well(scheduler)
        assert (await asking(scheduler, "/v1/jobs")).status_code == 200
        assert 'connections_refused_total{reason="connections_max"}' in (await asking(scheduler, "/metrics")).text
        refused = await until(lambda: scheduler.events("connection_refused"))
        assert {event["reason"] for event in refused} == {"connections_max"}


async def asking(scheduler: Scheduler, path: str) -> httpx.Response:
    """Return the answer to a new connection."""
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=5) as http:
        return await http.get(path)


async def test_connections_in_their_tls_handshake_are_counted_too(folder: Path) -> None:
    certificate = make_certificate(folder)
    tls = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    with (
        started(Scheduler(folder, "memory", *tls, "--connections-max", str(CONNECTIONS_MAX))) as scheduler,
        contextlib.ExitStack() as closing,
    ):
        connections = silent(scheduler.port, 6 * CONNECTIONS_MAX)
        for connection in connections:
            closing.callback(connection.close)
        await until(lambda: still_open(connections) <= CONNECTIONS_MAX + BESIDE, patience_s=5)
        trusting = ssl.create_default_context(cafile=str(certificate.cert))
        async with httpx.AsyncClient(base_url=scheduler.url, verify=trusting, trust_env=False, timeout=5) as http:
            assert (await http.get("/healthz")).status_code == 200


async def test_a_machine_with_few_descriptors_still_answers_health(folder: Path) -> None:
    """The limit of open files is read at the start; the store, logs and health have a reserve."""
    with started(Confined(folder, "embedded", "--head-s", "60")) as scheduler, contextlib.ExitStack() as closing:
        (event,) = scheduler.events("few_open_files")
        assert event["connections_max"] < 256
        connections = silent(scheduler.port, 400)
        for connection in connections:
            closing.callback(connection.close)
        for _ in range(10):
            assert await is_well(scheduler)
        assert (await asking(scheduler, "/readyz")).json() == {"status": "ready"}


async def test_a_lack_of_descriptors_at_an_accept_is_logged_and_counted(folder: Path) -> None:
    """The limit is lowered at run time, which no scheduler can foresee."""
    with started(Scheduler(folder, "memory", "--head-s", "60")) as scheduler, contextlib.ExitStack() as closing:
        assert await is_well(scheduler)
        lowered = f"--nofile={open_files(scheduler.pid) + 20}:"
        await (await asyncio.create_subprocess_exec("prlimit", f"--pid={scheduler.pid}", lowered)).wait()
        for connection in silent(scheduler.port, 60):
            closing.callback(connection.close)
        await until(lambda: "no_open_file" in {event["reason"] for event in scheduler.events("connection_refused")})
        for _ in range(5):
            assert await is_well(scheduler)
        lines = len(scheduler.events("connection_refused"))
        assert lines < 1000, "it does not spin"
        assert 'connections_refused_total{reason="no_open_file"}' in (await asking(scheduler, "/metrics")).text


def open_files(pid: int) -> int:
    """Return how many files that process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
