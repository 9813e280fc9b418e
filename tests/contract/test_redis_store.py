"""RedisStore when the server is slow, gone, restarted, full, or holds what isn't ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from scheduler.errors import ConfigError, ScriptFailed, StoreUnavailable
from scheduler.scripts import ScriptCall, Want, register_node, release_job, select_node
from scheduler.stores import open_store
from scheduler.stores.redis import RedisStore
from tests.servers import RedisServer, redis_server

NOW_MS = 1_700_000_000_000
REGISTER = register_node(NOW_MS, 45_000, "n", "g-1", "p", 2, "", ["zh:en"], "", [])
SELECT = select_node(NOW_MS, 12345, 2, 1000, [Want("j|1", "zh:en", NOW_MS + 60_000, "", ())])
RELEASE = release_job(["j|1"])
PATIENCE_S = 10.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    opened = RedisStore(server.url, answer_timeout_s=1.0)
    yield opened
    await opened.close()


class Restarts:
    """How often a store said that its server may have lost its data."""

    def __init__(self, store: RedisStore) -> None:
        self.count = 0
        store.on_restart = self._count

    def _count(self) -> None:
        self.count += 1


async def run_when_back(store: RedisStore, calls: list[ScriptCall]) -> list[list[str]]:
    """Repeat `calls` until they are answered, as the script queue does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await store.run(calls)
            except StoreUnavailable:
                await asyncio.sleep(0.01)


async def test_a_flush_is_answered_in_order(store: RedisStore) -> None:
    """Each call has its answer, whatever came before in the same flush."""
    assert await store.run([REGISTER, SELECT, RELEASE, RELEASE]) == [["OK"], ["n", "g-1"], ["n"], [""]]
    assert await store.census() == {"leases": 1, "about": 1, "held": 0, "holds": 0, "due": 0, "free": 1}


async def test_a_server_that_died_is_unavailable_until_it_is_back_and_that_is_told(
    store: RedisStore, server: RedisServer
) -> None:
    """The repeated calls are carried out on the new, empty server."""
    restarts = Restarts(store)
    await store.run([REGISTER])
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.run([SELECT])
    with pytest.raises(StoreUnavailable):
        await store.ping()
    server.start()
    assert await run_when_back(store, [SELECT]) == [["", ""]]
    assert restarts.count == 1
    await store.run([REGISTER])
    assert restarts.count == 1


async def test_a_broken_connection_to_the_same_server_is_no_restart(store: RedisStore) -> None:
    """The data are still there, so nobody has to register again."""
    restarts = Restarts(store)
    await store.run([REGISTER])
    await store.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await run_when_back(store, [SELECT]) == [["n", "g-1"]]
    assert restarts.count == 0


async def test_a_server_that_hangs_is_given_up_in_time_and_its_late_answers_are_never_read(
    store: RedisStore, server: RedisServer
) -> None:
    """What the frozen server did after all shows in the repeated call: the same node, not a second slot."""
    await store.run([REGISTER])
    server.freeze()
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(3.0):
            await store.run([SELECT])
    server.thaw()
    assert await run_when_back(store, [SELECT]) == [["n", "g-1"]]
    assert (await store.census())["held"] == 1


async def test_a_cancelled_flush_leaves_no_answer_for_the_next(store: RedisStore, server: RedisServer) -> None:
    """The connection is dropped, since somebody else would read what was meant for the cancelled one."""
    await store.run([REGISTER])
    server.freeze()
    flush = asyncio.create_task(store.run([SELECT]))
    await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    server.thaw()
    assert await run_when_back(store, [REGISTER]) == [["OK"]]


async def test_scripts_that_vanish_in_the_middle_are_loaded_and_the_rest_is_called_again(store: RedisStore) -> None:
    """SCRIPT FLUSH: nothing is lost, and the order of the calls stays."""
    restarts = Restarts(store)
    await store.run([REGISTER])
    await store.client.script_flush()
    assert await store.run([SELECT, RELEASE, SELECT]) == [["n", "g-1"], ["n"], ["n", "g-1"]]
    assert restarts.count == 1


async def test_foreign_data_under_our_keys_is_a_failure_not_a_loop(store: RedisStore) -> None:
    """ScriptFailed names the script, so that nobody repeats it for ever."""
    await store.client.set("vp:{0}:about", "somebody else's")
    with pytest.raises(ScriptFailed, match=r"register_node.*WRONGTYPE"):
        await store.run([REGISTER])


async def test_a_full_server_and_a_replica_are_unavailable_not_failures(store: RedisStore, server: RedisServer) -> None:
    """They will serve again; the call was not carried out."""
    await store.run([REGISTER])
    await store.client.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        await store.run([SELECT])
    await store.client.config_set("maxmemory", "0")
    await store.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable, match="read only"):
        await store.run([SELECT])
    await store.client.execute_command("REPLICAOF", "NO", "ONE")
    assert await run_when_back(store, [SELECT]) == [["n", "g-1"]]


async def test_two_flushes_at_a_time_are_a_bug(store: RedisStore) -> None:
    """The queue never does that; the answers would be mixed up."""
    first = asyncio.create_task(store.run([REGISTER]))
    await asyncio.sleep(0)
    with pytest.raises(AssertionError, match="second flush"):
        await store.run([REGISTER])
    assert await first == [["OK"]]


async def test_an_unusable_address_is_told_without_its_password() -> None:
    """What can't be read is a setting to correct, what doesn't answer is not there."""
    with pytest.raises(ConfigError, match="none of embedded, memory"):
        await open_store("postgres://here")
    with pytest.raises(ConfigError, match="redis://HOST:PORT/DB"):
        await open_store("redis://localhost:port/0")
    with pytest.raises(StoreUnavailable) as failure:
        await open_store("redis://me:secret@127.0.0.1:1/0")
    assert "secret" not in str(failure.value)


async def test_the_dump_has_the_order_and_the_form_of_redis(store: RedisStore) -> None:
    """Only families with members, scores as text."""
    await store.run([REGISTER, SELECT])
    assert await store.dump() == {
        "leases": [("n", "1700000045000")],
        "about": [("n", "g-1|p|2||,zh:en,")],
        "held": [("n|j|1", "0")],
        "holds": [("j|1", "n")],
        "due": [("j|1", "1700000060000")],
        "free": [("zh:en|n", "0")],
    }
    await store.clear()
    assert await store.dump() == {}
