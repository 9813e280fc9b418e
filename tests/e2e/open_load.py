"""Clients that never wait for anything before they submit again: what an overload is made of."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from websockets.asyncio.client import ClientConnection

from tests.e2e.processes import TONE, Process, Scheduler, connected, until
from voxpool.scheduler.protocol.codec import encode, to_client
from voxpool.scheduler.protocol.messages import Accepted, Hello, JobResult, RejectedSubmit, Submit, Welcome

PAIR = "en:en"
SOCKETS = 5
AUDIO = TONE[:2000]
"""So small that the audio of the waiting jobs does not hide a leak."""
SAMPLE_S = 0.5


class SubmitSocket:
    """A client on a WebSocket; `take` is called with it and each answer."""

    def __init__(self, take: Callable[[SubmitSocket, Accepted | JobResult | RejectedSubmit], None]) -> None:
        self.open = asyncio.Event()
        self.unanswered = 0
        self._take = take
        self._connection: ClientConnection | None = None

    async def run(self, scheduler: Scheduler) -> None:
        """Take what comes."""
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
                self._take(self, message)

    async def submit(self, request_id: str) -> None:
        """Submit a job."""
        assert self._connection is not None
        self.unanswered += 1
        await self._connection.send(encode(Submit(request_id, PAIR, AUDIO), binary=True))


@contextlib.asynccontextmanager
async def node_of(scheduler: Scheduler, slots: int, service_s: float) -> AsyncIterator[None]:
    """Have one node in the scheduler, a process of its own."""
    words = ("--id", "node", "--pairs", PAIR, "--slots", str(slots), "--engine", f"sleep:{service_s}")
    node = Process(scheduler.log.parent, "node", "node", "--url", scheduler.url, *words)
    try:
        await until(lambda: scheduler.node_ids() == ["node"])
        yield
    finally:
        node.stop()


@contextlib.asynccontextmanager
async def http_of(scheduler: Scheduler) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client that takes any number of connections."""
    # A connection that was idle is not used again: the scheduler might be closing it just then.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=1.0)
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=90, limits=limits) as http:
        yield http


async def submit_at_random(
    rate_per_s: float, seconds: float, submit: Callable[[int], Awaitable[None]], late: Callable[[float], None]
) -> float:
    """Call `submit` with 1, 2, …, at random times; `late` gets the s by which each is late. Return when it began."""
    chance = random.Random(1)
    began_s = due_s = time.monotonic()
    number = 0
    while (due_s := due_s + chance.expovariate(rate_per_s)) < began_s + seconds:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        late(time.monotonic() - due_s)
        number += 1
        await submit(number)
    return began_s


async def sample_memory(http: httpx.AsyncClient, note: Callable[[int], None]) -> None:
    """Call `note` with the allocated bytes of the scheduler, again and again."""
    while True:
        note((await http.get("/v1/debug/memory", params={"gc": 1})).json()["memory"]["allocated_bytes"])
        await asyncio.sleep(SAMPLE_S)


def retry_after_ms(response: httpx.Response) -> int | None:
    """Return the time to retry of a refusal, if both its header and its body have one."""
    found: int | None = response.json().get("retry_after_ms") if "retry-after" in response.headers else None
    return found
