"""The store on Redis without a server: its claim, and answers that no script gives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.played_redis import PlayedRedis
from tests.unit.virtual import virtual
from voxpool.scheduler.core.scripts import ScriptCall, lapsed_nodes
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.stores.answers import CONNECT_TIMEOUT_S
from voxpool.scheduler.stores.claim import OWNER_LEASE_MS
from voxpool.scheduler.stores.facts import OWNER_KEY
from voxpool.scheduler.stores.flush import CALLS_MAX
from voxpool.scheduler.stores.redis import RedisStore


class PlayedConnection:
    """Answers each command with the next of `answers`."""

    is_connected = True

    def __init__(self, answers: Sequence[object]) -> None:
        self._answers = iter(answers)

    async def exchange(self, commands: Sequence[object]) -> list[object]:
        return [next(self._answers) for _ in commands]

    async def disconnect(self) -> None:
        self.is_connected = False


def claimable() -> tuple[RedisStore, PlayedRedis]:
    store, redis = RedisStore("redis://r"), PlayedRedis()
    store.client = redis
    return store, redis


def calls(number: int) -> list[ScriptCall]:
    return [lapsed_nodes(1, 1)] * number


@virtual
async def test_a_claim_is_in_the_facts_and_ends_with_the_store() -> None:
    store, redis = claimable()
    assert (await store.facts(lambda: 0)).asked_by == "" and not await store.is_in_use()
    await store.claim("me", lambda reason: None)
    assert redis.value(OWNER_KEY) == "me"
    facts = await store.facts(lambda: 0)
    assert (facts.owner, facts.asked_by) == ("me", "me")
    await store.close()
    assert redis.value(OWNER_KEY) is None and redis.is_closed


@virtual
async def test_no_call_is_sent_after_the_claim_is_lost() -> None:
    store, redis = claimable()
    lost: list[str] = []
    await store.claim("me", lost.append)
    await redis.set(OWNER_KEY, "other")
    await asyncio.sleep(OWNER_LEASE_MS / 1000)
    assert len(lost) == 1
    with pytest.raises(StoreUnavailable, match=r"redis://r: it belongs to another scheduler now"):
        await store.run(calls(1))
    await store.close()
    assert redis.value(OWNER_KEY) == "other"


async def test_an_answer_that_no_script_gives_is_named() -> None:
    store: Any = RedisStore("redis://r")
    store._connection = PlayedConnection([["n"], "PONG" * 100])
    with pytest.raises(StoreUnavailable, match=r"redis://r: '(PONG){20}' is no answer of a script$"):
        await store.run(calls(2))
    assert not store._connection.is_connected, "the next answers may belong to other commands"


async def test_a_flush_has_a_bound() -> None:
    store: Any = RedisStore("redis://r")
    store._connection = PlayedConnection([["n"]] * CALLS_MAX)
    assert await store.run(calls(CALLS_MAX)) == [["n"]] * CALLS_MAX
    with pytest.raises(AssertionError):
        await store.run(calls(CALLS_MAX + 1))


def test_connections_speak_resp_2_and_wait_and_try_again_only_as_we_say() -> None:
    """Some proxies have no HELLO; a call is repeated by the script queue, and its time is bounded around it."""
    options = RedisStore("redis://r").client.connection_pool.connection_kwargs
    assert (options["protocol"], options["socket_timeout"], options["retry"]._retries) == (2, None, 0)
    assert options["socket_connect_timeout"] == CONNECT_TIMEOUT_S
