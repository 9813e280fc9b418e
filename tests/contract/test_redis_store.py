"""RedisStore when the server is slow, down, restarted, full, or holds foreign data."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.conftest import run_when_back
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.core.scripts import Want, register_node, release_job, select_node
from voxpool.scheduler.errors import ConfigError, ScriptFailed, StoreUnavailable
from voxpool.scheduler.stores.embedded import EmbeddedStore
from voxpool.scheduler.stores.meanings import TAKEN
from voxpool.scheduler.stores.opening import open_store
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.stores.script_sources import ScriptSource

NOW_MS = 1_700_000_000_000
REGISTER = register_node(NOW_MS, 45_000, "n", "g-1", "p", 2, "", ["zh:en"], "", [])
SELECT = select_node(NOW_MS, 12345, 2, 1000, [Want("j|1", "zh:en", NOW_MS + 60_000, "", ())])
RELEASE = release_job(["j|1"])


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    opened = RedisStore(server.url, answer_timeout_s=1.0)
    yield opened
    await opened.close()


async def test_a_flush_is_answered_in_order(store: RedisStore) -> None:
    """Each call has its own answer, whatever precedes it in the same flush."""
    assert await store.run([REGISTER, SELECT, RELEASE, RELEASE]) == [["OK"], ["n", "g-1"], ["n"], [""]]
    assert await store.census() == {"leases": 1, "nodes": 1, "held": 0, "reservations": 0, "due": 0, "capacity": 1}


async def test_a_dead_server_is_unavailable_until_it_is_back_and_reported(
    store: RedisStore, server: RedisServer
) -> None:
    """The repeated calls are executed on the new, empty server."""
    await store.run([REGISTER])
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.run([SELECT])
    with pytest.raises(StoreUnavailable):
        await store.ping()
    server.start()
    assert await run_when_back(store, [SELECT]) == [["", ""]]
    assert store.restarts == 1
    await store.run([REGISTER])
    assert store.restarts == 1


async def test_a_broken_connection_to_the_same_server_is_no_restart(store: RedisStore) -> None:
    """The data are still there, so no node has to register again."""
    await store.run([REGISTER])
    await store.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await run_when_back(store, [SELECT]) == [["n", "g-1"]]
    assert store.restarts == 0


async def test_a_hanging_server_times_out_and_its_late_answers_are_never_read(
    store: RedisStore, server: RedisServer
) -> None:
    """The repeated call shows what the frozen server executed later: the same node, not a second slot."""
    await store.run([REGISTER])
    server.freeze()
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(3.0):
            await store.run([SELECT])
    server.thaw()
    assert await run_when_back(store, [SELECT]) == [["n", "g-1"]]
    assert (await store.census())["held"] == 1


async def test_a_cancelled_flush_leaves_no_answer_for_the_next(store: RedisStore, server: RedisServer) -> None:
    """The connection is dropped, since the next flush would read the answers of the cancelled one."""
    await store.run([REGISTER])
    server.freeze()
    flush = asyncio.create_task(store.run([SELECT]))
    await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    server.thaw()
    assert await run_when_back(store, [REGISTER]) == [["OK"]]


async def test_scripts_lost_during_a_flush_are_loaded_and_the_rest_is_called_again(store: RedisStore) -> None:
    """After SCRIPT FLUSH nothing is lost, and the order of the calls is kept."""
    await store.run([REGISTER])
    await store.client.script_flush()
    assert await store.run([SELECT, RELEASE, SELECT]) == [["n", "g-1"], ["n"], ["n", "g-1"]]
    assert store.restarts == 1


async def test_foreign_data_under_our_keys_are_named_and_left_alone(store: RedisStore) -> None:
    """They are not deleted; when they have been moved, the repeated call is executed."""
    await store.client.set("vp:{0}:nodes", "somebody else's")
    with pytest.raises(StoreUnavailable, match=r"WRONGTYPE.*data of another program") as refused:
        await store.run([REGISTER])
    assert refused.value.meaning == TAKEN
    assert await store.client.get("vp:{0}:nodes") == "somebody else's"
    await store.client.delete("vp:{0}:nodes")
    assert await run_when_back(store, [REGISTER]) == [["OK"]]


BUGS = ("local nothing = nil; return nothing.field", "error('own words')", "return redis.call('GET')", "variable = 1")
INNOCENT = ("return redis.call('HGET', KEYS[1], 'n')", "return redis.error_reply('NEWCODE no server says this yet')")


@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_only_an_error_raised_inside_our_script_is_its_failure(server: RedisServer, kind: str) -> None:
    """The wordings are those of a real Redis and a real Valkey; a server's answer to one of its commands is no such
    failure.
    """
    own = EmbeddedStore()
    await own.start()
    try:
        url = server.url if kind == "redis" else own.url
        for text in (*BUGS, *INNOCENT, "this is no Lua"):
            broken = RedisStore(url, sources={"register_node": ScriptSource("", text)})
            await broken.client.set("vp:{0}:leases", "no hash")  # KEYS[1]
            with pytest.raises(StoreUnavailable if text in INNOCENT else ScriptFailed, match=r"WRONGTYPE|NEWCODE|ERR"):
                await broken.run([REGISTER])
            await broken.close()
    finally:
        await own.close()


async def test_missing_permissions_inside_a_script_are_no_failure_of_the_script(store: RedisStore) -> None:
    await store.run([REGISTER])
    await store.client.execute_command("ACL", "SETUSER", "default", "-hget")
    with pytest.raises(StoreUnavailable, match="ACL failure in script"):
        await store.run([SELECT])
    await store.client.execute_command("ACL", "SETUSER", "default", "+hget")
    assert await run_when_back(store, [SELECT]) == [["n", "g-1"]]


async def test_every_timeout_names_its_operation_and_duration() -> None:
    """A server accepts and never answers; each request to it has its own message."""

    listening = socket.create_server(("127.0.0.1", 0))  # the kernel accepts, no process reads
    url = f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
    store = RedisStore(url, answer_timeout_s=0.1)
    for question, what in (
        (store.ping(), "PING"),
        (store.run([REGISTER]), "a flush of 1 script calls"),
        (store.census(), "a count of the keys"),
        (store.facts(lambda: 0), "INFO"),
        (store.dump(), "a dump of the keys"),
        (store.clear(), "DEL"),
    ):
        with pytest.raises(StoreUnavailable) as failure:
            await question
        assert str(failure.value) == f"{url}: no answer to {what} within 0.1 s"
    await store.close()
    listening.close()


async def test_a_full_server_and_a_replica_are_unavailable_not_failures(store: RedisStore, server: RedisServer) -> None:
    """They may recover; the call was not executed."""
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
    """The queue never runs two at a time; the answers would be mixed up."""
    first = asyncio.create_task(store.run([REGISTER]))
    await asyncio.sleep(0)
    with pytest.raises(AssertionError, match="second flush"):
        await store.run([REGISTER])
    assert await first == [["OK"]]


async def test_an_unusable_address_is_reported_without_its_password() -> None:
    """An unreadable address is a wrong setting; a server that doesn't answer is unavailable."""
    with pytest.raises(ConfigError, match="none of embedded, memory"):
        await open_store("postgres://here")
    with pytest.raises(ConfigError, match="redis://HOST:PORT/DB"):
        await open_store("redis://localhost:port/0")
    with pytest.raises(StoreUnavailable) as failure:
        await open_store("redis://me:secret@127.0.0.1:1/0")
    assert "secret" not in str(failure.value)


async def test_the_dump_has_the_order_and_the_form_of_redis(store: RedisStore) -> None:
    """There are only families with members; scores are text."""
    await store.run([REGISTER, SELECT])
    assert await store.dump() == {
        "leases": [("n", "1700000045000")],
        "nodes": [("n", "g-1|p|2||,zh:en,")],
        "held": [("n|j|1", "0")],
        "reservations": [("j|1", "n")],
        "due": [("j|1", "1700000060000")],
        "capacity": [("zh:en|n", "0")],
    }
    await store.clear()
    assert await store.dump() == {}
