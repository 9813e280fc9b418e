"""One Redis, one scheduler: the owner is named, a dead owner is replaced, a hanging owner is informed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.bad_answers import ANSWERS
from tests.e2e.lookalike import Lookalike
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.core.scripts import lapsed_nodes
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.claim import PARTITIONS_KEY, Claim
from voxpool.scheduler.stores.facts import OWNER_KEY
from voxpool.scheduler.stores.opening import open_store
from voxpool.scheduler.stores.redis import RedisStore

LEASE_MS = 1500
"""Both schedulers of a test are in this process: the lease must outlast a moment without CPU."""
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    opened = RedisStore(server.url)
    await opened.client.flushall()
    yield opened
    await opened.close()


class Scheduler:
    """A scheduler that claims the store."""

    def __init__(self, store: RedisStore, name: str, partitions: int = 1, lease_ms: int = LEASE_MS) -> None:
        self.lost = asyncio.Event()
        self.reason = ""
        self.claim = Claim(store.client, store.url, name, self._heard, partitions, lease_ms)

    def _heard(self, reason: str) -> None:
        self.reason = reason
        self.lost.set()


async def test_a_second_scheduler_is_refused_with_the_name_of_the_owner(store: RedisStore) -> None:
    """The owner renews its lease for as long as the other waits."""
    first, second = Scheduler(store, "host-1 process 17"), Scheduler(store, "host-2 process 4")
    await first.claim.take()
    with pytest.raises(ConfigError, match=r"belongs to host-1 process 17, which is alive.*stop that one"):
        await second.claim.take()
    await first.claim.give_back()
    await second.claim.take()
    assert await store.client.get(OWNER_KEY) == "host-2 process 4"
    await second.claim.give_back()
    assert await store.client.get(OWNER_KEY) is None


async def test_a_dead_scheduler_is_replaced_after_its_lease(store: RedisStore) -> None:
    """No key has to be deleted by hand."""
    await store.client.set(OWNER_KEY, "host-1 process 17", px=LEASE_MS)
    heir = Scheduler(store, "host-1 process 18")
    async with asyncio.timeout(PATIENCE_S):
        await heir.claim.take()
    await heir.claim.give_back()


async def test_the_lease_is_renewed_and_survives_a_flush(store: RedisStore) -> None:
    """The claim survives lost data, unless another scheduler was faster."""
    owner = Scheduler(store, "host-1 process 17")
    await owner.claim.take()
    await store.client.flushall()
    async with asyncio.timeout(PATIENCE_S):
        while await store.client.get(OWNER_KEY) is None:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
    assert not owner.lost.is_set()
    await owner.claim.give_back()


async def test_a_scheduler_that_hung_too_long_learns_that_it_was_replaced(store: RedisStore) -> None:
    """It must stop, since another one acts on the same nodes. It does not touch the lease of the other."""
    hanging = Scheduler(store, "host-1 process 17")
    await hanging.claim.take()
    await store.client.set(OWNER_KEY, "host-2 process 4")
    async with asyncio.timeout(PATIENCE_S):
        await hanging.lost.wait()
    assert "taken over by host-2 process 4" in hanging.reason
    await hanging.claim.give_back()
    assert await store.client.get(OWNER_KEY) == "host-2 process 4"


async def test_no_script_runs_after_a_lost_claim(server: RedisServer, store: RedisStore) -> None:
    """The scripts of two schedulers would undo each other."""
    lost = asyncio.Event()
    claimed = await open_store(server.url, owner="host-1 process 17", on_lost=lambda _reason: lost.set())
    assert isinstance(claimed, RedisStore)
    assert await claimed.run([lapsed_nodes(1, 1)]) == [[]]
    await store.client.set(OWNER_KEY, "host-2 process 4")
    async with asyncio.timeout(PATIENCE_S):
        await lost.wait()
    with pytest.raises(StoreUnavailable, match="another scheduler"):
        await claimed.run([lapsed_nodes(1, 1)])
    await claimed.close()


async def test_another_number_of_partitions_is_refused(store: RedisStore) -> None:
    """Nodes would be looked up in the wrong partitions."""
    first = Scheduler(store, "host-1 process 17")
    await first.claim.take()
    await first.claim.give_back()
    assert await store.client.get(PARTITIONS_KEY) == "1"
    with pytest.raises(ConfigError, match="partitions = 1, and this one has partitions = 4"):
        await Scheduler(store, "host-1 process 18", partitions=4).claim.take()


async def test_releasing_the_claim_ends_the_renewals_at_any_moment(store: RedisStore) -> None:
    """asyncio.wait_for, which redis-py uses for its timeouts, may lose a cancellation on Python 3.11."""
    for attempt in range(60):
        owner = Scheduler(store, "host-1 process 17", lease_ms=30)
        await owner.claim.take()
        await asyncio.sleep(0.01 + attempt * 0.00003)  # the renewal comes after 10 ms
        async with asyncio.timeout(PATIENCE_S):
            await owner.claim.give_back()


SHORT_LEASE_MS = 60


async def test_a_claim_survives_each_invalid_answer(server: RedisServer, store: RedisStore) -> None:
    """The renewals fail while the answers are invalid; then the claim holds again, and no other owner is reported."""
    async with Lookalike(server.port).open() as lookalike:
        claimed = RedisStore(lookalike.url)
        owner = Scheduler(claimed, "host-1 process 17", lease_ms=SHORT_LEASE_MS)
        await owner.claim.take()
        for answer in ANSWERS:
            lookalike.misbehave(answer, "claim")
            async with asyncio.timeout(PATIENCE_S):
                while not lookalike.given:  # noqa: ASYNC110 - the server tells nobody
                    await asyncio.sleep(0.001)
            lookalike.behave()
        async with asyncio.timeout(PATIENCE_S):
            while await store.client.get(OWNER_KEY) != "host-1 process 17":  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert not owner.lost.is_set()
        await owner.claim.give_back()
        assert await store.client.get(OWNER_KEY) is None
        await claimed.close()


async def test_a_claim_follows_its_data_to_the_server_that_takes_over(server: RedisServer, store: RedisStore) -> None:
    """The old master becomes a replica and keeps its connections open; no other scheduler may claim the new one."""
    with redis_server() as other:
        async with Lookalike(server.port).open() as lookalike:
            claimed = RedisStore(lookalike.url)
            owner = Scheduler(claimed, "host-1 process 17", lease_ms=SHORT_LEASE_MS)
            await owner.claim.take()
            lookalike.target = other.port
            await store.client.execute_command("REPLICAOF", "127.0.0.1", str(other.port))
            there = RedisStore(other.url)
            async with asyncio.timeout(PATIENCE_S):
                while await there.client.get(OWNER_KEY) != "host-1 process 17":  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert not owner.lost.is_set()
            await owner.claim.give_back()
            await there.close()
            await claimed.close()
            await store.client.execute_command("REPLICAOF", "NO", "ONE")
