"""Schedulers that are only feeds and a desk, with workers and clients that are objects, on a real store of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.shared.partition.calls import Bounds
from voxpool.scheduler.shared.partition.feed import Feed
from voxpool.scheduler.shared.partition.members import Members
from voxpool.scheduler.shared.partition.totals import Totals
from voxpool.scheduler.stores.cluster.job_stores import JobStores
from voxpool.sim.instances.desk import SharedDesk
from voxpool.sim.instances.desk_parts import Node

LEASE_MS = 900
NO_TEXT = bytes(range(256))
"""Audio that is no text in UTF-8."""
WITHIN_S = 60.0


class Client:
    """Counts what it gets."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str, str]] = []
        self.accepts: set[str] = set()

    def accepted(self, request_id: str) -> None:
        self.accepts.add(request_id)

    def ended(self, request_id: str, state: str, outcome: str) -> None:
        self.ends.append((request_id, state, outcome))


class Worker:
    """A node of `scheduler` that answers at once; or never, when it is `silent`. It serves a pair of each partition."""

    def __init__(self, scheduler: SharedDesk, silent: bool = False) -> None:
        self.got: list[str] = []
        self.closed = ""
        self.silent = silent
        self._desk = scheduler
        partitions = range(len(scheduler.feeds))
        self._node = Node(f"n-{scheduler.name}", [pair_of(number) for number in partitions], 4, self)
        scheduler.node_came(self._node, [], partitions)

    def assign(self, job_id: str, attempt: int, pair: str, audio: bytes) -> None:
        self.got.append(job_id)
        if not self.silent:
            answer = (self._node, job_id, attempt, "c", sha256(audio).hexdigest())
            asyncio.get_running_loop().call_soon(lambda: self._desk.node_answered(*answer))

    def cancel(self, job_id: str, attempt: int) -> None:
        pass

    def close(self, reason: str) -> None:
        self.closed = reason

    def probe(self) -> None:
        pass


@asynccontextmanager
async def scheduler(
    url: str,
    name: str,
    partitions: int = 1,
    acks: int = 0,
    lease_ms: int = LEASE_MS,
    desk_class: type[SharedDesk] = SharedDesk,
) -> AsyncIterator[SharedDesk]:
    """Run a scheduler until the end of the block; then it is dead at once."""
    clock, desk = SystemClock(), desk_class(name)
    stores = JobStores(url, partitions, acks, answer_timeout_s=2.0)
    totals = Totals(Bounds(10_000, 10**9, 10_000))
    roles: list[asyncio.Future[None]] = []
    for number, store in enumerate(stores.partitions):
        feed = Feed(
            *(number, name, desk),
            runner=store,
            clock=clock,
            settings=Settings(),
            observer=Observer(),
            lease_ms=lease_ms,
            waiting_ms=60_000,
            totals=totals,
        )
        desk.feeds.append(feed)
        hints = stores.hints(number, name, feed.subscribed, feed.hinted)
        members = Members(feed, clock, 60_000, 1000)
        roles += [asyncio.ensure_future(role.run_forever()) for role in (hints, members)]
        roles.append(asyncio.ensure_future(feed.run_forever(feed)))
    try:
        yield desk
    finally:
        for role in roles:
            role.cancel()
        await asyncio.gather(*roles, return_exceptions=True)
        await stores.close()


async def until(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds`. Raises TimeoutError after WITHIN_S."""
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110  # the parts under test have no event for it
            await asyncio.sleep(0.01)


def pair_of(partition: int) -> str:
    """Return the pair that the tests use in a partition."""
    return f"p{partition}:en"


def audio(number: int) -> bytes:
    """Return the audio of a job."""
    return NO_TEXT + str(number).encode()


def submit(desk: SharedDesk, client: Client, count: int, first: int = 0) -> None:
    """Submit jobs r<first>… in turns to all partitions."""
    for number in range(first, first + count):
        partition = number % len(desk.feeds)
        desk.submit(partition, f"r{number}", pair_of(partition), audio(number), client)
