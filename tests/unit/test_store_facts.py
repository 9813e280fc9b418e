"""The facts that a scheduler reads about its server, each from its source."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from voxpool.scheduler.stores.facts import OWNER_KEY, StoreFacts, ahead_ms, ask_facts
from voxpool.scheduler.stores.shown import line_to_paste, without_password


class Server:
    """A server that answers INFO, TIME and GET."""

    def __init__(self, owner: str | None = None, **more: str) -> None:
        self._info = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "role": "master", **more}
        self._owner = owner

    async def info(self) -> dict[str, str]:
        return self._info

    async def time(self) -> tuple[int, int]:
        return 1000, 250_999

    async def get(self, key: str) -> str | None:
        assert key == OWNER_KEY
        return self._owner


def clock(*now_ms: int) -> Any:
    times = itertools.chain(now_ms)
    return lambda: next(times)


async def test_the_facts_of_a_redis() -> None:
    facts = await ask_facts(Server(), "redis://r", clock(1_000_100, 1_000_200), "me")
    assert facts == StoreFacts("redis://r", "Redis", "7.2.4", "7.2.4", "noeviction", "master", 50, "", "me")


async def test_the_facts_of_a_valkey() -> None:
    server = Server("host-1", valkey_version="8.0.1", role="slave", maxmemory_policy="allkeys-lru")
    facts = await ask_facts(server, "redis://r", clock(1_000_300, 1_000_400))
    assert facts == StoreFacts("redis://r", "Valkey", "8.0.1", "7.2.4", "allkeys-lru", "slave", -50, "host-1", "")


@pytest.mark.parametrize(("then_ms", "ahead"), [(99, -1), (100, 0), (150, 0), (200, 0), (201, 1)])
def test_a_clock_is_wrong_beyond_what_the_answer_took(then_ms: int, ahead: int) -> None:
    assert ahead_ms(then_ms, before_ms=100, after_ms=200) == ahead


def test_a_password_is_not_shown_and_a_line_says_how_to_give_it() -> None:
    secret = "redis://u:p@h:1/0?password=q&db=2"
    assert without_password(secret) == "redis://***@h:1/0?password=***&db=2"
    assert without_password("unix:///a/b?db=1") == "unix:///a/b?db=1"
    assert line_to_paste(["voxpool", "doctor", "a b"]) == "voxpool doctor 'a b'"
    assert line_to_paste(["voxpool", "doctor"], "redis://h") == "voxpool doctor --store redis://h"
    assert line_to_paste(["voxpool", "doctor"], "redis://u:p@h") == (
        "voxpool doctor --store \"$VOXPOOL_STORE\"  # first: export VOXPOOL_STORE='redis://***@h',"
        " with its user and password"
    )
