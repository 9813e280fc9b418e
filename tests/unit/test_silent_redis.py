"""A server that accepts and never answers: each request times out with a message that names it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxpool.scheduler.core.scripts import lapsed_nodes
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.stores.opening import open_store
from voxpool.scheduler.stores.redis import RedisStore

ANSWER_S = 0.05
CALLS = [lapsed_nodes(1, 1)]


@asynccontextmanager
async def silent() -> AsyncIterator[RedisStore]:
    """A store whose server sends nothing."""
    writers: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        store = RedisStore(f"redis://:secret@127.0.0.1:{port}/3", answer_timeout_s=ANSWER_S)
        try:
            yield store
        finally:
            await store.close()
            for writer in writers:
                writer.close()


QUESTIONS: dict[str, Callable[[RedisStore], Awaitable[Any]]] = {
    "a flush of 1 script calls": lambda store: store.run(CALLS),
    "PING": lambda store: store.ping(),
    "DEL": lambda store: store.clear(),
    "a count of the keys": lambda store: store.census(),
    "a dump of the keys": lambda store: store.dump(),
    "INFO": lambda store: store.facts(lambda: 0),
}


@pytest.mark.parametrize("what", QUESTIONS)
async def test_each_request_times_out(what: str) -> None:
    async with silent() as store, asyncio.timeout(20):
        with pytest.raises(StoreUnavailable) as error:
            await QUESTIONS[what](store)
        assert str(error.value) == f"{store.url}: no answer to {what} within 0.05 s"
        assert store.url.startswith("redis://***@127.0.0.1:") and store.url.endswith("/3")


async def test_one_flush_at_a_time_and_after_a_failure_the_next() -> None:
    async with silent() as store, asyncio.timeout(20):
        first = asyncio.create_task(store.run(CALLS))
        await asyncio.sleep(0)
        with pytest.raises(AssertionError, match="a second flush"):
            await store.run(CALLS)
        for flush in (first, store.run(CALLS)):
            with pytest.raises(StoreUnavailable):
                await flush


@pytest.mark.parametrize("spec", ["redis://127.0.0.1:1", "rediss://127.0.0.1:1", "unix:///none/such"])
async def test_an_address_of_a_server_is_tried(spec: str) -> None:
    with pytest.raises(StoreUnavailable, match=spec):
        await open_store(spec)


async def test_an_invalid_address_is_an_error_without_its_password() -> None:
    assert isinstance(await open_store("memory"), MemoryStore)
    with pytest.raises(ConfigError) as error:
        await open_store("rediz://u:secret@h?password=other&db=1")
    assert str(error.value) == (
        "store = 'rediz://***@h?password=***&db=1' is none of embedded, memory, redis://HOST:PORT/DB"
    )
