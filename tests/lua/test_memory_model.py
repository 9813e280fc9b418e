"""The model of Redis rejects what it does not support, instead of giving another answer than a server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from voxpool.scheduler.core.scripts import ScriptCall, register_node
from voxpool.scheduler.errors import ScriptFailed
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.stores.script_sources import ScriptSource, load_sources

NOW_MS = 1_700_000_000_000


def run(body: str, *args: str) -> list[str]:
    """Run a script of the test on an empty store."""
    store = MemoryStore({"probe": ScriptSource("", body)})
    return store.run_now([ScriptCall("probe", list(args))])[0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return redis.call('INCR', KEYS[1])", "lacks the command INCR"),
        ("return redis.call('TIME')", "lacks the command TIME"),
        ("return redis.call('ZRANGE', KEYS[1], 0, -1)", "one rank"),
        ("return redis.call('ZRANGEBYSCORE', KEYS[1], 5, 6)", "from -inf with LIMIT 0 only"),
        ("redis.call('ZADD', KEYS[3], 0, 'a|b') return redis.call('ZLEXCOUNT', KEYS[3], '-', '+')", "from - to +"),
        ("redis.call('ZADD', KEYS[3], 0, 'a') return redis.call('ZRANGEBYLEX', KEYS[3], '[a|', '(a}')", "like group"),
        ("redis.call('ZADD', KEYS[3], 'x', 'a')", "not a valid float"),
        ("redis.call('ZADD', KEYS[3], 'NX', 0, 'a', 0, 'b')", "NX with one member only"),
        ("redis.call('ZRANGEBYLEX', KEYS[3], '[a|', '(a}', 'LIMIT', 1, 2)", "ZRANGEBYLEX with LIMIT 0 only"),
        ("redis.call('LRANGE', KEYS[3], 0, -1)", "LRANGE by places from the head only"),
        ("redis.call('LTRIM', KEYS[3], 0, 5)", "LTRIM to -1 only"),
        ("redis.call('RPUSH', KEYS[3], 'a') redis.call('ZSCORE', KEYS[3], 'a')", "WRONGTYPE"),
        ("redis.call('HSET', KEYS[1], 'a', 'b') return redis.call('ZSCORE', KEYS[1], 'a')", "WRONGTYPE"),
        ("for k in pairs({}) do end", "may not use pairs"),
        ("return {cjson.encode({})}", "may not use cjson"),
        ("counter = 1", "may not write the global counter"),
        ("return {1}", "answered something that is no text"),
        ("return os.time()", "may not use os"),
        ("return nil + 1", "attempt to perform arithmetic"),
    ],
)
def test_unsupported_features_fail_by_name(body: str, says: str) -> None:
    with pytest.raises(ScriptFailed, match=says):
        run(body)


def test_an_unknown_script_fails() -> None:
    with pytest.raises(ScriptFailed, match="there is no script nothing"):
        MemoryStore().run_now([ScriptCall("nothing", [])])


def test_numbers_become_text_as_in_redis() -> None:
    """Integers are printed without a point, other numbers with 17 digits."""
    body = """
    redis.call('HSET', KEYS[2], 'a', 1700000045000)
    redis.call('ZADD', KEYS[1], 1700000045000.5, 'b')
    redis.call('ZADD', KEYS[1], '3', 'c')
    return {redis.call('HGET', KEYS[2], 'a'), redis.call('ZSCORE', KEYS[1], 'b'), redis.call('ZSCORE', KEYS[1], 'c')}
    """
    assert run(body) == ["1700000045000", "1700000045000.5", "3"]


@pytest.mark.parametrize("count", [0, 1, 2, 3_999, 4_001, 20_000])
def test_answers_of_any_length_are_returned(count: int) -> None:
    body = "local out = {} for i = 1, tonumber(ARGV[1]) do out[i] = 'item-' .. i end return out"
    assert run(body, str(count)) == [f"item-{i}" for i in range(1, count + 1)]


def test_hints_are_kept_when_somebody_asks_for_them() -> None:
    store = MemoryStore({"probe": ScriptSource("", "redis.call('SPUBLISH', 'to', ARGV[1]) return {}")})
    store.run_now([ScriptCall("probe", ["lost"])])
    store.keep_hints(True)
    store.run_now([ScriptCall("probe", ["a|b"]), ScriptCall("probe", ["c"])])
    assert store.take_hints() == [("to", "a|b"), ("to", "c")]
    assert store.take_hints() == []


def test_clear_loses_the_data_and_keeps_the_scripts() -> None:
    store = MemoryStore()
    register = register_node(NOW_MS, 45_000, "n", "g", "p", 1, "", ["a:b"], "", [])
    store.run_now([register])
    assert store.census() == {"leases": 1, "nodes": 1, "held": 0, "reservations": 0, "due": 0, "capacity": 1}
    store.clear()
    assert store.dump() == {}
    assert store.run_now([register]) == [["OK"]]


def test_two_stores_have_nothing_in_common() -> None:
    one, other = MemoryStore(), MemoryStore()
    one.run_now([register_node(NOW_MS, 45_000, "n", "g", "p", 1, "", ["a:b"], "", [])])
    assert other.dump() == {}


def test_luajit_stays_luajit_beside_another_lua() -> None:
    """fakeredis loads Lua 5.1 with global symbols; ours must not be bound to them."""
    code = "import fakeredis; from voxpool.scheduler.stores.memory import MemoryStore; MemoryStore()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_file_is_a_script_or_included_by_one() -> None:
    sources = load_sources()
    assert set(sources) == {
        *(
            "register_node",
            "heartbeat",
            "node_offline",
            "drain_node",
            "select_node",
            "release_job",
            "expire_reservations",
        ),
        *("lapsed_nodes", "select_explained"),
    }
    for source in sources.values():
        assert "@include" not in source.text
        assert len(source.sha1) == 40
