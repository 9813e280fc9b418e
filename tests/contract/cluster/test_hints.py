"""The subscription to the hints of a partition follows it, and notices that its server is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.contract.cluster.servers import Cluster
from tests.contract.conftest import run_when_back
from tests.contract.jobs.schedulers import until
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import Bounds, Submit
from voxpool.scheduler.stores.cluster.hints import Hints
from voxpool.scheduler.stores.cluster.job_stores import JobStores, PartitionStore

BOUNDS = Bounds(1000, 10**9, 1000)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class Listener:
    """The hints for scheduler a in partition 0."""

    def __init__(self) -> None:
        self.subscribed = 0
        self.hints: list[str] = []

    def begin(self) -> None:
        self.subscribed += 1

    @asynccontextmanager
    async def listening(self, hints: Hints) -> AsyncIterator[None]:
        role = asyncio.ensure_future(hints.run_forever())
        try:
            await until(lambda: self.subscribed > 0)
            yield
        finally:
            role.cancel()
            await asyncio.gather(role, return_exceptions=True)


async def invite(partition: PartitionStore, number: int) -> None:
    """Let the store invite scheduler a: a job comes for which it is hungry."""
    beat, hungry = calls.beat("a", 1, 9_000, 8_000, 100, True), calls.take("a", 1, 0, [("p:q", 9, True)])
    job = Submit(f"0.{number}", "p:q", False, 0, 3, 10, "c", "", "m")
    await run_when_back(partition, [beat, hungry, calls.submit("b", 1, 0, 8_000, BOUNDS, [job])])


@pytest.mark.parametrize("action", ["move", "fail_over"])
async def test_hints_follow_their_partition(cluster: Cluster, action: str) -> None:
    stores, listener = JobStores(cluster.url, 1), Listener()
    (partition,) = stores.partitions
    async with listener.listening(stores.hints(0, "a", listener.begin, listener.hints.append)):
        await invite(partition, 1)
        await until(lambda: "come|p:q" in "".join(listener.hints))
        if action == "move":
            home = cluster.primary(partition.slot)
            other = next(node for node in cluster.primaries() if node is not home)
            await asyncio.to_thread(cluster.move, partition.slot, other)
        else:
            await asyncio.to_thread(cluster.fail_over, partition.slot)
        await until(lambda: listener.subscribed >= 2)
        listener.hints.clear()
        for number in range(2, 100):  # hints that are sent while it changes its server are lost
            await invite(partition, number)
            await asyncio.sleep(0.05)
            if listener.hints:
                break
        assert "come|p:q" in "".join(listener.hints)
    await stores.close()


async def test_a_silent_server_is_a_break(server: RedisServer) -> None:
    """Its connection stays open, as a half-open one does: what it would have sent is lost, so the mail is read."""
    listener, stores = Listener(), JobStores(server.url, 1)

    async def locate() -> str:
        return server.url

    hints = Hints(locate, 0, "a", listener.begin, listener.hints.append, poll_s=0.1)
    async with listener.listening(hints):
        await asyncio.sleep(0.5)
        assert listener.subscribed == 1, "a server that answers the test is not silent"
        server.freeze()
        await asyncio.sleep(0.5)
        server.thaw()
        await until(lambda: listener.subscribed == 2)
        await invite(stores.partitions[0], 1)
        await until(lambda: "come|p:q" in "".join(listener.hints))
    await stores.close()
