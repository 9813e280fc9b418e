"""The lease of a claim on its own clock: when it is renewed, awaited, lost and released."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.played_redis import PlayedRedis
from tests.unit.virtual import virtual
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.claim import ANSWER_S, GIVE_BACK_S, OWNER_LEASE_MS, PARTITIONS_KEY, Claim
from voxpool.scheduler.stores.facts import OWNER_KEY

LEASE_S = OWNER_LEASE_MS / 1000


class Owner:
    """A scheduler that claims the store."""

    def __init__(self, redis: PlayedRedis, name: str, partitions: int = 1) -> None:
        self.lost: list[str] = []
        self.claim = Claim(redis, "redis://r", name, self.lost.append, partitions)


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_a_lease_is_renewed_three_times_in_its_time() -> None:
    redis = PlayedRedis()
    owner = Owner(redis, "a")
    await owner.claim.take()
    assert now() == 0 and redis.left_ms(OWNER_KEY) == OWNER_LEASE_MS
    assert redis.value(PARTITIONS_KEY) == "1"
    await asyncio.sleep(LEASE_S / 3 - 0.1)
    assert redis.left_ms(OWNER_KEY) < OWNER_LEASE_MS * 0.68
    await asyncio.sleep(0.2)
    assert redis.left_ms(OWNER_KEY) > OWNER_LEASE_MS * 0.98
    await asyncio.sleep(100)
    assert redis.value(OWNER_KEY) == "a" and owner.lost == [] and not owner.claim.lost


@virtual
async def test_a_dead_owner_is_replaced_when_its_lease_has_ended() -> None:
    redis = PlayedRedis()
    await redis.set(OWNER_KEY, "dead", px=7100)
    heir = Owner(redis, "heir")
    await heir.claim.take()
    assert now() == pytest.approx(7.1, abs=0.01) and redis.value(OWNER_KEY) == "heir", "not at the next look"


@virtual
async def test_an_owner_that_renews_is_alive() -> None:
    redis = PlayedRedis()
    owner, other = Owner(redis, "a"), Owner(redis, "b")
    await owner.claim.take()
    await asyncio.sleep(1)
    with pytest.raises(
        ConfigError, match=r"'redis://r' belongs to a, which is alive \(its lease goes on for \d+\.\d s\)"
    ):
        await other.claim.take()
    assert now() < 1 + LEASE_S / 3 + 0.5, "the first renewal shows it"
    assert owner.lost == []
    await other.claim.give_back()
    assert redis.value(OWNER_KEY) == "a", "what was not taken is not given back"


@virtual
async def test_a_lease_without_an_end_is_awaited_for_a_limited_time() -> None:
    """The key was set by hand, without an expiry."""
    redis = PlayedRedis()
    await redis.set(OWNER_KEY, "by hand")
    with pytest.raises(ConfigError, match="belongs to by hand"):
        await Owner(redis, "a").claim.take()
    assert LEASE_S < now() <= 2 * LEASE_S + 0.5


@virtual
async def test_other_partitions_are_refused() -> None:
    redis = PlayedRedis()
    await Owner(redis, "a", partitions=4).claim.take()
    with pytest.raises(ConfigError, match=r"'redis://r' holds .* with partitions = 4, and this one has partitions = 1"):
        await Owner(redis, "b").claim.take()


@virtual
async def test_a_released_claim_is_free_at_once_and_not_renewed() -> None:
    redis = PlayedRedis()
    owner = Owner(redis, "a")
    await owner.claim.take()
    await owner.claim.give_back()
    assert redis.value(OWNER_KEY) is None and redis.value(PARTITIONS_KEY) == "1"
    commands = len(redis.commands)
    await owner.claim.give_back()
    await asyncio.sleep(100)
    assert len(redis.commands) == commands
    await Owner(redis, "b").claim.take()
    assert now() == 100


@virtual
async def test_a_release_is_bounded_and_keeps_foreign_claims() -> None:
    redis = PlayedRedis()
    owner = Owner(redis, "a")
    await owner.claim.take()
    redis.hangs_s = 1000.0
    await owner.claim.give_back(2.0)
    assert now() == 2.0
    redis.hangs_s = 0.0
    second = Owner(redis, "a")
    redis.flush()
    await second.claim.take()
    await redis.set(OWNER_KEY, "b")
    await second.claim.give_back()
    assert redis.value(OWNER_KEY) == "b"
    redis.hangs_s = 1000.0
    third = Owner(redis, "a")
    third.claim._keeper = asyncio.create_task(asyncio.sleep(1000))
    await third.claim.give_back()
    assert now() == 2.0 + GIVE_BACK_S


@virtual
async def test_a_flushed_store_is_claimed_again() -> None:
    redis = PlayedRedis()
    owner = Owner(redis, "a")
    await owner.claim.take()
    redis.flush()
    await asyncio.sleep(LEASE_S / 3 + 0.1)
    assert redis.value(OWNER_KEY) == "a" and redis.left_ms(OWNER_KEY) > OWNER_LEASE_MS * 0.9 and owner.lost == []
    await asyncio.sleep(100)
    assert redis.value(OWNER_KEY) == "a"


@virtual
async def test_another_name_under_the_claim_is_the_end() -> None:
    redis = PlayedRedis()
    owner = Owner(redis, "a")
    await owner.claim.take()
    await redis.set(OWNER_KEY, "b")
    await asyncio.sleep(LEASE_S)
    assert owner.lost == ["store = 'redis://r' was taken over by b while this scheduler could not renew"]
    assert owner.claim.lost
    commands = len(redis.commands)
    await asyncio.sleep(100)
    assert len(redis.commands) == commands and redis.value(OWNER_KEY) == "b"


@pytest.mark.parametrize("how", ["away", "hangs"])
@virtual
async def test_a_missing_server_is_tried_until_it_is_back(how: str) -> None:
    redis = PlayedRedis()
    owner = Owner(redis, "a")
    await owner.claim.take()
    redis.is_away, redis.hangs_s = how == "away", 60.0 if how == "hangs" else 0.0
    await asyncio.sleep(4 * (LEASE_S / 3 + (ANSWER_S if how == "hangs" else 0)) + 0.5)
    assert redis.disconnects == 4 and redis.value(OWNER_KEY) is None
    redis.is_away, redis.hangs_s = False, 0.0
    await asyncio.sleep(LEASE_S)
    assert redis.value(OWNER_KEY) == "a" and owner.lost == []


@virtual
async def test_a_server_that_does_not_answer_the_claim_is_named() -> None:
    redis = PlayedRedis()
    redis.hangs_s = 60.0
    with pytest.raises(StoreUnavailable, match=r"redis://r: no answer to the claim \(partitions\) within 5 s"):
        await Owner(redis, "a").claim.take()
    with pytest.raises(StoreUnavailable, match="no answer to the question who has claimed it within 5 s"):
        await Owner(redis, "a").claim.is_held()
    assert now() == 2 * ANSWER_S


@virtual
async def test_the_renewal_shows_whether_the_claim_is_held() -> None:
    redis = PlayedRedis()
    assert not await Owner(redis, "a").claim.is_held() and now() == 0
    owner = Owner(redis, "a")
    await owner.claim.take()
    await asyncio.sleep(0.5)
    assert await Owner(redis, "b").claim.is_held()
    assert now() < LEASE_S / 3 + 0.5
    await owner.claim.give_back()
    await redis.set(OWNER_KEY, "dead", px=5000)
    began = now()
    assert not await Owner(redis, "b").claim.is_held()
    assert now() - began == pytest.approx(5.0, abs=0.3)
    await redis.set(OWNER_KEY, "by hand")
    began = now()
    assert await Owner(redis, "b").claim.is_held()
    assert LEASE_S <= now() - began <= LEASE_S + 0.5
