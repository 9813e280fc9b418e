"""The feeds of two schedulers on a real Redis: jobs run at the node of the other one, and outlive it and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest

from tests.servers import RedisServer, redis_server
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.shared.asked import audio_s
from voxpool.scheduler.shared.desk import Node, SharedDesk
from voxpool.scheduler.shared.feed import Feed
from voxpool.scheduler.shared.members import Members
from voxpool.scheduler.stores.cluster.job_stores import JobStores

PAIR = "zh:en"
LEASE_MS = 900
NO_TEXT = bytes(range(256))
"""Audio that is no text in UTF-8."""
WITHIN_S = 60.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class Client:
    """Counts what it gets."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str, str]] = []

    def accepted(self, request_id: str) -> None:
        pass

    def ended(self, request_id: str, state: str, outcome: str) -> None:
        self.ends.append((request_id, state, outcome))


class Worker:
    """A node of `scheduler` that answers at once; or never, when it is `silent`."""

    def __init__(self, scheduler: SharedDesk, silent: bool = False) -> None:
        self.got: list[str] = []
        self.silent = silent
        self._desk = scheduler
        self._node = Node(f"n-{scheduler.name}", [PAIR], 4, self)
        scheduler.node_came(self._node, [], [0])

    def assign(self, job_id: str, attempt: int, pair: str, audio: bytes) -> None:
        self.got.append(job_id)
        if not self.silent:
            answer = (self._node, job_id, attempt, "c", sha256(audio).hexdigest())
            asyncio.get_running_loop().call_soon(lambda: self._desk.node_answered(*answer))

    def cancel(self, job_id: str, attempt: int) -> None:
        pass


@asynccontextmanager
async def scheduler(url: str, name: str) -> AsyncIterator[SharedDesk]:
    """Run a scheduler until the end of the block; then it is dead at once."""
    clock, desk = SystemClock(), SharedDesk(name)
    stores = JobStores(url, 1)
    bounds = {"lease_ms": LEASE_MS, "waiting_ms": 60_000, "jobs_max": 1000, "bytes_max": 10**9}
    feed = Feed(
        0, name, desk, runner=stores.partitions[0], clock=clock, settings=Settings(), observer=Observer(), **bounds
    )
    desk.feeds.append(feed)
    members = Members(feed, clock, 60_000, 1000)
    hints = stores.hints(0, name, feed.subscribed, feed.hinted)

    roles = [asyncio.ensure_future(role.run_forever()) for role in (hints, members)]
    roles.append(asyncio.ensure_future(feed.run_forever(feed)))
    try:
        yield desk
    finally:
        for role in roles:
            role.cancel()
        await asyncio.gather(*roles, return_exceptions=True)
        await stores.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110  # the parts under test have no event for it
            await asyncio.sleep(0.01)


def audio(number: int) -> bytes:
    return NO_TEXT + str(number).encode()


def submit(desk: SharedDesk, client: Client, count: int) -> None:
    for number in range(count):
        desk.submit(0, f"r{number}", PAIR, audio(number), client)


async def test_jobs_run_at_the_node_of_another_scheduler(server: RedisServer) -> None:
    """Each ends once, with its own content, at the client's scheduler."""
    client = Client()
    async with scheduler(server.url, "a") as a, scheduler(server.url, "b") as b:
        worker = Worker(b)
        submit(a, client, 300)
        await until(lambda: len(client.ends) == 300)
        assert len(worker.got) == 300 and a.sizes == b.sizes == (0, 0, 0)
    assert sorted(client.ends) == sorted((f"r{n}", "c", sha256(audio(n)).hexdigest()) for n in range(300))


async def test_a_dead_schedulers_jobs_run_elsewhere(server: RedisServer) -> None:
    """Its lease ends; another one takes what it had."""
    client = Client()
    async with scheduler(server.url, "a") as a:
        async with scheduler(server.url, "b") as b:
            silent = Worker(b, silent=True)
            submit(a, client, 4)
            await until(lambda: len(silent.got) == 4)
        worker = Worker(a)
        await until(lambda: len(client.ends) == 4)
        assert len(worker.got) == 4
    assert sorted(end[0] for end in client.ends) == ["r0", "r1", "r2", "r3"]


async def test_a_server_that_lost_everything_is_asked_again(server: RedisServer) -> None:
    """It is killed and comes back empty: what clients wait for is in the schedulers."""
    client = Client()
    async with scheduler(server.url, "a") as a, scheduler(server.url, "b") as b:
        silent = Worker(b, silent=True)
        submit(a, client, 20)
        await until(lambda: len(silent.got) == 4)
        server.kill()
        silent.silent = False
        server.start()
        await until(lambda: len(client.ends) == 20)
    assert len({end[0] for end in client.ends}) == 20


async def test_audio_outlives_the_waiting_and_the_attempts_of_its_job(server: RedisServer) -> None:
    """It is owned by its time to live, which follows from the settings; and it is removed with the end of its job."""
    client, settings = (
        Client(),
        Settings(waiting_timeout_s=3, dispatch_timeout_s=5, backoff_max_s=1, store_patience_s=7),
    )
    assert audio_s(settings, lease_s=2, attempts_max=10) == 10 * (3 + 5 + 1 + 2) + 7
    store = RedisStore(server.url, layout=JOBS)
    async with scheduler(server.url, "a") as a, scheduler(server.url, "b") as b:
        submit(a, client, 1)
        asked = a.find("0.r0")
        assert asked is not None
        await until(lambda: asked.is_accepted)
        (key,) = await store.client.keys("vp:jobs:{0}:audio:*")
        usual_s = audio_s(Settings(), LEASE_MS / 1000, asked.attempts_max)
        assert usual_s - 60 < await store.client.ttl(key) <= usual_s
        Worker(b)
        await until(lambda: bool(client.ends))
        while await store.client.keys("vp:jobs:{0}:audio:*"):  # noqa: ASYNC110  # goes with the next flush
            await asyncio.sleep(0.01)
    await store.close()
