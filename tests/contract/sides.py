"""The stores under comparison, behind one plain interface."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import fakeredis

from tests.servers import redis_server
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.stores.cluster.job_stores import JobStores
from voxpool.scheduler.stores.embedded import EmbeddedStore
from voxpool.scheduler.stores.memory import Dump, MemoryStore, shown
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.stores.script_sources import JOBS, LIST, NODES, SORTED_SET, Layout, ScriptSource, load_sources

STORES = ("memory", "redis", "embedded", "fakeredis")
Sources = Mapping[str, ScriptSource]

_DAMAGE = {
    "forget_about": "redis.call('HDEL', KEYS[2], ARGV[1]) return {}",
    "forget_lease": "redis.call('ZREM', KEYS[1], ARGV[1]) return {}",
}
"""Scripts of the tests alone, called with a node: they make Redis lose a part of its data."""


def sources_with_damage(sources: Sources | None = None, layout: Layout = NODES) -> Sources:
    """Return the production scripts of `layout`, and those that damage data."""
    damage = {name: ScriptSource("", body) for name, body in _DAMAGE.items()}
    return {**(load_sources(layout.folder) if sources is None else sources), **damage}


class Side(Protocol):
    """One store in the comparison."""

    name: str

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order in one flush and return the answers."""
        ...

    def dump(self) -> Dump:
        """Return the stored state."""
        ...

    def clear(self) -> None:
        """Lose all data."""
        ...

    def lose_scripts(self) -> None:
        """Lose the scripts, if the store can lose them."""
        ...


class MemorySide:
    """The model of Redis in this process."""

    name = "memory"

    def __init__(self, sources: Sources | None = None, layout: Layout = NODES) -> None:
        self.store = MemoryStore(sources_with_damage(sources, layout), layout)
        self.run = self.store.run_now
        self.dump = self.store.dump
        self.clear = self.store.clear

    def lose_scripts(self) -> None:
        """The scripts are part of the object."""


class FakeredisSide:
    """fakeredis: Lua 5.1 on an independent model of Redis."""

    name = "fakeredis"

    def __init__(self, layout: Layout = NODES) -> None:
        self._client: Any = fakeredis.FakeRedis(decode_responses=True)
        self._layout = layout
        self._keys = layout.keys()
        self._sources = sources_with_damage(None, layout)

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run the calls one by one."""
        return [
            self._client.eval(self._sources[name].text, len(self._keys), *self._keys, *args) for name, args, _ in calls
        ]

    def dump(self) -> Dump:
        """Read the state with commands."""
        client, found = self._client, []
        for kind, key in zip(self._layout.kinds.values(), self._keys, strict=True):
            if kind == SORTED_SET:
                found.append(client.zrange(key, 0, -1, withscores=True))
            else:
                found.append(client.lrange(key, 0, -1) if kind == LIST else client.hgetall(key))
        return shown(self._layout, found)

    def clear(self) -> None:
        """Flush the data."""
        self._client.flushall()

    def lose_scripts(self) -> None:
        """Do nothing: each call sends the complete script."""


class ServerSide:
    """A real server behind production's store."""

    def __init__(self, name: str, url: str, runner: asyncio.Runner, layout: Layout = NODES) -> None:
        self.name = name
        self.store = RedisStore(url, sources_with_damage(None, layout), layout=layout)
        self._runner = runner

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run the calls in production's store."""
        return self._runner.run(self.store.run(calls))

    def dump(self) -> Dump:
        """Read the state with commands."""
        return self._runner.run(self.store.dump())

    def clear(self) -> None:
        """Flush the data."""
        self._runner.run(self.store.client.flushall())

    def lose_scripts(self) -> None:
        """Flush the scripts."""
        self._runner.run(self.store.client.script_flush())

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self.store.close())

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        found: dict[str, Any] = self._runner.run(self.store.client.info(section))
        return found

    def keys(self) -> set[str]:
        """Return every key on the server."""
        return set(self._runner.run(self.store.client.keys("*")))


class ClusterSide(ServerSide):
    """A node in cluster mode that has all slots, behind production's stores of jobs."""

    def __init__(self, name: str, port: int, runner: asyncio.Runner) -> None:
        super().__init__(name, f"redis://127.0.0.1:{port}/0", runner, JOBS)
        self._stores = JobStores(f"redis+cluster://127.0.0.1:{port}", 1)

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run the calls in production's stores."""
        return self._runner.run(self._stores.partitions[0].run(calls))

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._stores.close())
        super().close()


class Sides:
    """The stores by name, each opened at its first use; all are closed at the end of the block."""

    def __init__(self, layout: Layout = NODES) -> None:
        self._layout = layout
        self._closing = ExitStack()
        self._runner = self._closing.enter_context(asyncio.Runner())
        self._opened: dict[str, Side] = {}
        self._openers: dict[str, Callable[[], Side]] = {
            "memory": lambda: MemorySide(None, layout),
            "redis": self._redis,
            "embedded": self._embedded,
            "fakeredis": lambda: FakeredisSide(layout),
        }

    def __enter__(self) -> Sides:
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every opened store."""
        self._closing.close()

    def __getitem__(self, name: str) -> Side:
        """Return the store of that name (one of STORES)."""
        if name not in self._opened:
            self._opened[name] = self._openers[name]()
        return self._opened[name]

    def cluster(self, name: str, port: int) -> Side:
        """Return a store of jobs in a cluster of one node, which is there until the end of the block."""
        side = ClusterSide(name, port, self._runner)
        self._closing.callback(side.close)
        return side

    def all(self) -> list[Side]:
        """Return all of them."""
        return [self[name] for name in STORES]

    def _redis(self) -> Side:
        return self._server_side("redis", self._closing.enter_context(redis_server()).url)

    def _embedded(self) -> Side:
        store = EmbeddedStore()
        self._runner.run(store.start())
        self._closing.callback(lambda: self._runner.run(store.close()))
        return self._server_side("embedded", store.url)

    def _server_side(self, name: str, url: str) -> Side:
        side = ServerSide(name, url, self._runner, self._layout)
        self._closing.callback(side.close)
        return side
