"""Round trips of `voxpool serve`: client -> scheduler -> node -> scheduler -> client, beside a bare WebSocket relay.

Each is three processes on this machine; the client sends 10 kB of audio, the node answers at once. The relay reads
nothing and stores nothing, so the ratio of the two is the cost of the scheduler. Run alone: python -m bench.round_trips
[SECONDS]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from bench._processes import PAIR
from bench._rows import Row, print_rows
from voxpool.scheduler.protocol import codec
from voxpool.scheduler.protocol.messages import Hello, JobResult, RejectedSubmit, Submit

AUDIO = b"RIFF\x08\x27\x00\x00WAVE" + bytes(range(256)) * 39
SECONDS = 2.0
ROUNDS = 3
IN_FLIGHT = (1, 64)
QUIET = ("--log-level", "warning")
Call = Callable[[], Awaitable[None]]


class Figures(NamedTuple):
    """The round trips measured with one number of jobs in flight; figures are ordered by speed."""

    per_s: float
    p50_ms: float
    p99_ms: float


def run(seconds: float = SECONDS) -> list[Row]:
    """Measure relay and schedulers in turn, `seconds` for each number in flight, and take the median of the rounds."""
    with _relay() as relay, scheduler("embedded", *QUIET) as embedded, scheduler("memory", *QUIET) as memory:
        rounds = []
        for _ in range(ROUNDS):
            bare = uvloop.run(_through_relay(relay, seconds))
            ours = {
                store: uvloop.run(through_scheduler(*running, seconds))
                for store, running in (("embedded", embedded), ("memory", memory))
            }
            rounds.append((bare, ours))
    rows = []
    for store in ("embedded", "memory"):
        for count in IN_FLIGHT:
            one = _median(ours[store][0][count] for _, ours in rounds)
            other = _median(bare[count] for bare, _ in rounds)
            beside = (
                f"{one.per_s / other.per_s:.2f} x a bare relay ({other.per_s:,.0f}/s); p50 {one.p50_ms:.2f} ms "
                f"({other.p50_ms:.2f}), p99 {one.p99_ms:.2f} ms ({other.p99_ms:.2f})"
            )
            rows.append(
                Row("round_trips", f"round trips at {count} in flight, store {store}", one.per_s, "1/s", "", beside)
            )
        cpu_us = statistics.median(ours[store][1] for _, ours in rounds)
        rows.append(Row("round_trips", f"CPU of the scheduler a job, 64 in flight, store {store}", cpu_us, "us"))
    return rows


def _median(figures: Iterable[Figures]) -> Figures:
    return sorted(figures)[ROUNDS // 2]


async def _through_relay(port: int, seconds: float) -> dict[int, Figures]:
    waiting: dict[bytes, asyncio.Future[None]] = {}
    async with connect(f"ws://127.0.0.1:{port}/client", compression=None, max_size=None) as connection:
        reader = asyncio.create_task(_read_relay(connection, waiting))
        numbers = iter(range(1, 2**32))

        async def call() -> None:
            key = struct.pack("!I", next(numbers))
            future = waiting[key] = asyncio.get_running_loop().create_future()
            await connection.send(key + AUDIO)
            await future

        figures = {count: await _measure(call, count, seconds) for count in IN_FLIGHT}
        reader.cancel()
    return figures


async def _read_relay(connection: ClientConnection, waiting: dict[bytes, asyncio.Future[None]]) -> None:
    async for frame in connection:
        assert isinstance(frame, bytes)
        waiting.pop(frame[:4]).set_result(None)


async def through_scheduler(port: int, pid: int, seconds: float) -> tuple[dict[int, Figures], float]:
    """Return the figures of each number in flight, and the scheduler's CPU time a job in us with the last of them."""
    waiting: dict[str, asyncio.Future[None]] = {}
    async with connect(f"ws://127.0.0.1:{port}/ws/session", compression=None, max_size=None) as connection:
        await connection.send(codec.encode(Hello(), binary=True))
        await connection.recv()
        reader = asyncio.create_task(_read_scheduler(connection, waiting))
        calls, turn = 0, time.monotonic_ns()

        async def call() -> None:
            nonlocal calls
            calls += 1
            key = f"r-{turn}-{calls}"  # an id used before would bring the old job's result
            future = waiting[key] = asyncio.get_running_loop().create_future()
            await connection.send(codec.encode(Submit(key, PAIR, AUDIO), binary=True))
            await future

        figures = {}
        cpu_us = 0.0
        for count in IN_FLIGHT:
            before_s, before = cpu_s(pid), calls
            figures[count] = await _measure(call, count, seconds)
            cpu_us = 1e6 * (cpu_s(pid) - before_s) / (calls - before)
        reader.cancel()
    return figures, cpu_us


async def _read_scheduler(connection: ClientConnection, waiting: dict[str, asyncio.Future[None]]) -> None:
    async for frame in connection:
        assert isinstance(frame, bytes)
        message = codec.to_client.decode(frame, binary=True)
        if isinstance(message, JobResult):
            assert message.state == "completed", message
            waiting.pop(message.request_id).set_result(None)
        elif isinstance(message, RejectedSubmit):
            raise AssertionError(message)


async def _measure(call: Call, in_flight: int, seconds: float) -> Figures:
    for _ in range(50):
        await call()
    times_ms: list[float] = []
    start_s = time.perf_counter()

    async def one_after_the_other() -> None:
        while time.perf_counter() - start_s < seconds:
            before_s = time.perf_counter()
            await call()
            times_ms.append(1000 * (time.perf_counter() - before_s))

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    wall_s = time.perf_counter() - start_s
    cuts = statistics.quantiles(times_ms, n=100)
    return Figures(len(times_ms) / wall_s, cuts[49], cuts[98])


@contextlib.contextmanager
def _relay() -> Iterator[int]:
    port = free_port()
    with process("bench._processes", "relay", str(port)):
        until_listening(port)
        with process("bench._processes", "worker", f"ws://127.0.0.1:{port}/worker"):
            yield port


@contextlib.contextmanager
def scheduler(store: str, *flags: str, log: Path | None = None) -> Iterator[tuple[int, int]]:
    """Run a scheduler with a node that answers at once; yield its port and process id. Its log goes to `log`."""
    port = free_port()
    words = ("voxpool.scheduler", "serve", "--port", str(port), "--store", store, *flags)
    with process(*words, log=log) as server:
        until_listening(port)
        with process("bench._processes", "node", f"ws://127.0.0.1:{port}/ws/node"):
            deadline_s = time.monotonic() + 10
            while not httpx.get(f"http://127.0.0.1:{port}/v1/nodes").json()["total"]:
                assert time.monotonic() < deadline_s, "the node does not register"
                time.sleep(0.05)
            yield port, server.pid


@contextlib.contextmanager
def process(module: str, *arguments: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python process and end it on exit; its standard error goes to `log`."""
    with contextlib.ExitStack() as closing:
        errors = closing.enter_context(log.open("wb")) if log is not None else None
        started = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=errors)
    try:
        yield started
    finally:
        started.terminate()
        started.wait()


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def until_listening(port: int) -> None:
    """Wait until `port` accepts connections."""
    deadline_s = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline_s, f"nobody listens on {port}"
        time.sleep(0.02)


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print_rows(run(*map(float, sys.argv[1:2])), "bench.round_trips")
