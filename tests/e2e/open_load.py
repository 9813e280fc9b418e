"""Open load: clients that submit without waiting for earlier jobs, which makes an overload possible.

Half of the submits go over HTTP, half over WebSockets; a measurement is an OpenLoad that records their outcomes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection

from tests.e2e.processes import TONE, Process, Scheduler, connected, until
from voxpool.scheduler.protocol.codec import encode, to_client
from voxpool.scheduler.protocol.field_types import Times
from voxpool.scheduler.protocol.messages import Accepted, Hello, JobResult, RejectedSubmit, Submit, Welcome

PAIR = "en:en"
SOCKETS = 5
AUDIO = TONE[:2000]
"""The audio is so small that the waiting jobs do not hide a leak."""
SAMPLE_S = 0.5
ComeAgain = Callable[[], Coroutine[Any, Any, None]]


class OpenLoad(ABC):
    """The load of one run and its results; a subclass records the answers."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.allocated_bytes: list[float] = []
        """Allocated bytes of the scheduler, each half second."""
        self.behind_s = 0.0
        """Maximum delay of a submit; the load has its intended size only while this is small."""
        self.tasks: asyncio.TaskGroup
        """Submits in progress; the run waits for them."""

    @abstractmethod
    def on_accepted(self, request_id: str) -> None:
        """A job was accepted."""

    @abstractmethod
    def on_ended(self, state: str, error: str | None, times_ms: Times) -> None:
        """An accepted job has ended."""

    @abstractmethod
    def on_refused(self, request_id: str, reason: str, retry_after_ms: int | None, again: ComeAgain) -> None:
        """A submit was rejected; `again` repeats it."""

    def on_sample(self, allocated_bytes: int) -> None:
        """The scheduler has that many bytes allocated at this time."""
        self.allocated_bytes.append(allocated_bytes)

    @property
    def growth_bytes(self) -> float:
        """Median of the allocated bytes in the last quarter minus that in the second; the first quarter fills the
        tables.
        """
        quarter = len(self.allocated_bytes) // 4
        return statistics.median(self.allocated_bytes[-quarter:]) - statistics.median(
            self.allocated_bytes[quarter : 2 * quarter]
        )

    async def submit_all(self, scheduler: Scheduler, rate_per_s: float) -> float:
        """Submit at random times; return the s from the first submit to the end of the last accepted job."""
        async with http_of(scheduler) as http, asyncio.TaskGroup() as reading:
            async with asyncio.TaskGroup() as self.tasks:
                sockets = [SubmitSocket(self) for _ in range(SOCKETS)]
                readers = [reading.create_task(socket.run(scheduler)) for socket in sockets]
                await asyncio.gather(*(socket.open.wait() for socket in sockets))
                readers.append(reading.create_task(self._sample_memory(http)))
                chance = random.Random(1)
                began_s = due_s = time.monotonic()
                number = 0
                while (due_s := due_s + chance.expovariate(rate_per_s)) < began_s + self.seconds:
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                    self.behind_s = time.monotonic() - due_s
                    number += 1
                    if number % 2:
                        self.tasks.create_task(self._post(http, f"r-{number}"))
                    else:
                        await sockets[number % SOCKETS].submit(f"r-{number}")
            await until(lambda: not any(socket.unanswered for socket in sockets), 60)
            took_s = time.monotonic() - began_s
            for reader in readers:
                reader.cancel()
        return took_s

    async def _post(self, http: httpx.AsyncClient, request_id: str) -> None:
        parameters, headers = {"pair": PAIR, "wait_s": "60"}, {"idempotency-key": request_id}
        response = await http.post("/v1/jobs", params=parameters, headers=headers, content=AUDIO)
        body = response.json()
        if response.status_code in (429, 503):
            retry_after_ms = body.get("retry_after_ms") if "retry-after" in response.headers else None
            self.on_refused(request_id, body["reason"], retry_after_ms, partial(self._post, http, request_id))
        else:
            assert response.status_code == 200, body
            self.on_accepted(request_id)
            self.on_ended(body["state"], body.get("error"), msgspec.convert(body["times_ms"], Times))

    async def _sample_memory(self, http: httpx.AsyncClient) -> None:
        while True:
            report = (await http.get("/v1/debug/memory", params={"gc": 1})).json()
            self.on_sample(report["memory"]["allocated_bytes"])
            await asyncio.sleep(SAMPLE_S)


class SubmitSocket:
    """A client on a WebSocket."""

    def __init__(self, load: OpenLoad) -> None:
        self.open = asyncio.Event()
        self.unanswered = 0
        self._load = load
        self._connection: ClientConnection | None = None

    async def run(self, scheduler: Scheduler) -> None:
        """Pass messages to the load."""
        async with connected(scheduler.session_url) as self._connection:
            await self._connection.send(encode(Hello(), binary=True))
            async for frame in self._connection:
                assert isinstance(frame, bytes)
                message = to_client.decode(frame, binary=True)
                if isinstance(message, Welcome):
                    self.open.set()
                    continue
                assert isinstance(message, Accepted | JobResult | RejectedSubmit), message
                self.unanswered -= not isinstance(message, Accepted)
                if isinstance(message, Accepted):
                    self._load.on_accepted(message.request_id)
                elif isinstance(message, JobResult):
                    self._load.on_ended(message.state, message.error, message.times_ms)
                else:
                    again = partial(self.submit, message.request_id)
                    self._load.on_refused(message.request_id, message.reason, message.retry_after_ms, again)

    async def submit(self, request_id: str) -> None:
        """Submit a job."""
        assert self._connection is not None
        self.unanswered += 1
        await self._connection.send(encode(Submit(request_id, PAIR, AUDIO), binary=True))


@contextlib.asynccontextmanager
async def node_of(scheduler: Scheduler, slots: int, service_s: float) -> AsyncIterator[None]:
    """Connect one node, a process of its own, to the scheduler."""
    words = ("--id", "node", "--pairs", PAIR, "--slots", str(slots), "--engine", f"sleep:{service_s}")
    node = Process(scheduler.log.parent, "node", "node", "--url", scheduler.url, *words)
    try:
        await until(lambda: scheduler.node_ids() == ["node"])
        yield
    finally:
        node.stop()


@contextlib.asynccontextmanager
async def http_of(scheduler: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client without a limit of connections."""
    # Idle connections are not used again, since the scheduler might close them at the same time.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=1.0)
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=90, limits=limits) as http:
        yield http


def main(measure: Callable[[Scheduler, float], Coroutine[Any, Any, OpenLoad]], *flags: str) -> None:
    """Run for the seconds given on the command line, with a scheduler of its own, and print the results."""
    with tempfile.TemporaryDirectory() as folder:
        scheduler = Scheduler(Path(folder), "embedded", *flags)
        try:
            print(asyncio.run(measure(scheduler, float(sys.argv[1]))))
        finally:
            scheduler.stop()
