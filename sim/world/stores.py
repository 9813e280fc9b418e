"""The store of a run, in memory or real, behind a seam that adds a delay and reports executed calls to watchers.

A real store is called from virtual time: each call completes in real time before virtual time advances.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.memory import Dump, MemoryStore
from voxpool.scheduler.stores.script_sources import NODES, SORTED_SET, ScriptSource, load_sources
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.chance.distributions import Draw
from voxpool.sim.observing.watch import Hub
from voxpool.sim.virtual_time.loop import VirtualLoop

STORES = "memory, fakeredis, embedded or redis://host:port/db"


class SimStore(Protocol):
    """The interface of a store in the simulation."""

    @property
    def restarts(self) -> int:
        """As of ScriptRunner."""
        ...

    def run_now(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Execute `calls` and return their answers."""
        ...

    def clear(self) -> None:
        """Lose all data."""
        ...

    def census(self) -> dict[str, int]:
        """Return the number of members by family of keys."""
        ...

    def dump(self) -> Dump:
        """Return the whole state."""
        ...


class StoreSeam:
    """The scheduler's ScriptRunner: the store with a delay of `delay_s` each way."""

    def __init__(
        self, loop: VirtualLoop, store: SimStore, hub: Hub, delay_s: Draw | None, mark: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._store = store
        self._run_now = store.run_now
        self.mark = mark
        self._hub = hub
        self._delay_s = delay_s
        self._cuts = 0
        self._has_scripts = True
        self._on_the_way: dict[int, Sequence[ScriptCall]] = {}
        """The calls that were sent and have not arrived, by a number."""
        self._sent = 0
        self._loads = 0
        """How often the scripts were loaded again: the data may have gone with them."""

    @property
    def restarts(self) -> int:
        """As of ScriptRunner: those of the store, and those of this seam."""
        return self._loads + self._store.restarts

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Execute `calls` after the delay to the store; the answers arrive after the delay back."""
        delay_s, cuts = self._delay_s, self._cuts
        if delay_s is not None:
            self._sent = number = self._sent + 1
            self._on_the_way[number] = calls
            try:
                await self._loop.passing(delay_s())
            except asyncio.CancelledError:
                # The sender died; its calls arrive all the same.
                self._loop.call_later(delay_s(), self._arrive_late, calls, cuts)
                raise
            finally:
                self._on_the_way.pop(number, None)
            self._check(cuts)
        if not self._has_scripts:
            self._load_scripts()
        answers = self._run_now(calls)
        self._hub.calls_run(calls, answers)
        self.mark()
        if delay_s is not None:
            await self._loop.passing(delay_s())
            self._check(cuts)
            self.mark()
        return answers

    @property
    def has_calls_on_the_way(self) -> bool:
        """Whether calls were sent that have not arrived."""
        return bool(self._on_the_way)

    def sender_died(self) -> None:
        """The process that has sent the calls runs no line more: what is on its way arrives all the same."""
        on_the_way, self._on_the_way = self._on_the_way, {}
        for calls in on_the_way.values():
            assert self._delay_s is not None, "calls without a delay arrive at once"
            self._loop.after(self._delay_s(), self._arrive_late, calls, self._cuts)

    def cut(self) -> None:
        """Lose all calls and answers in transit."""
        self._cuts += 1

    def empty(self) -> None:
        """Delete the data and the scripts of the store."""
        self._store.clear()
        self._has_scripts = False
        self._hub.store_emptied()
        self.mark()

    def lose_scripts(self) -> None:
        """Delete the store's scripts: the next flush is answered NOSCRIPT, loads them, and is repeated."""
        self._has_scripts = False

    def _check(self, cuts: int) -> None:
        if cuts != self._cuts:
            raise StoreUnavailable("the connection broke")

    def _load_scripts(self) -> None:
        self._has_scripts = True
        self._loads += 1

    def _arrive_late(self, calls: Sequence[ScriptCall], cuts: int) -> None:
        if cuts == self._cuts and self._has_scripts:
            self._hub.calls_run(calls, self._run_now(calls))
            self.mark()


class FakeRedisStore:
    """fakeredis with its Lua: needs no server, and is independent of the memory store's model of Redis. Slow."""

    restarts = 0

    def __init__(self) -> None:
        try:
            import fakeredis
        except ImportError:
            raise ConfigError("store fakeredis: it isn't installed here: pip install 'fakeredis[lua]'") from None
        self._client: Any = fakeredis.FakeRedis(decode_responses=True)
        self._keys = NODES.keys()
        self._sha1 = {name: self._client.script_load(source.text) for name, source in load_sources().items()}

    def run_now(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        keys, sha1 = self._keys, self._sha1
        return [self._client.evalsha(sha1[name], len(keys), *keys, *args) for name, args, _ in calls]

    def clear(self) -> None:
        self._client.delete(*self._keys)

    def census(self) -> dict[str, int]:
        client = self._client
        return {
            family: client.zcard(key) if kind == SORTED_SET else client.hlen(key)
            for (family, kind), key in zip(NODES.kinds.items(), self._keys, strict=True)
        }

    def dump(self) -> Dump:
        whole: Dump = {}
        for (family, kind), key in zip(NODES.kinds.items(), self._keys, strict=True):
            if kind == SORTED_SET:
                scored = self._client.zrange(key, 0, -1, withscores=True)
                entries = [(member, f"{score:.0f}") for member, score in scored]
            else:
                entries = sorted(self._client.hgetall(key).items())
            if entries:
                whole[family] = entries
        return whole


class RealStore:
    """A store on real sockets, with a separate event loop that runs only during calls.

    `url` is redis://… or unix://…; without it a server is started for this run. Raises ConfigError when the store
    already has data of a scheduler, StoreUnavailable when no server answers.
    """

    def __init__(self, url: str | None) -> None:
        self._loop = asyncio.new_event_loop()
        try:
            self._store: Any = self._wait(_open(url))
            if url is not None and any(self.census().values()):
                self._wait(self._store.close())
                shown = without_password(url)
                raise ConfigError(f"store {shown!r}: it has data of a scheduler; name an empty database (/1, /2, …)")
        except BaseException:
            self._loop.close()
            raise

    @property
    def restarts(self) -> int:
        """As of ScriptRunner."""
        restarts: int = self._store.restarts
        return restarts

    def run_now(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        answers: list[list[str]] = self._wait(self._store.run(calls))
        return answers

    def clear(self) -> None:
        self._wait(self._store.clear())

    def census(self) -> dict[str, int]:
        census: dict[str, int] = self._wait(self._store.census())
        return census

    def dump(self) -> Dump:
        dump: Dump = self._wait(self._store.dump())
        return dump

    def close(self) -> None:
        """Delete what the run wrote, close the connection, and stop the server if it was started for this run."""
        if self._loop.is_closed():
            return
        self._wait(self._store.clear())
        self._wait(self._store.close())
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        virtual = events._get_running_loop()
        events._set_running_loop(None)
        try:
            return self._loop.run_until_complete(coroutine)
        finally:
            events._set_running_loop(virtual)


async def _open(url: str | None) -> Any:
    if url is None:
        from voxpool.scheduler.stores.embedded import EmbeddedStore

        embedded = EmbeddedStore()
        await embedded.start()
        return embedded
    from voxpool.scheduler.stores.redis import RedisStore

    store = RedisStore(url)
    try:
        await store.ping()
    except StoreUnavailable:
        await store.close()
        raise
    return store


OF_THIS_MACHINE = ("memory", "fakeredis", "embedded")
"""Stores that a run starts and stops."""


def open_store(kind: str, scripts: Mapping[str, ScriptSource] | None = None) -> SimStore:
    """Return the store called `kind`; `scripts` replace lua/ in memory. Raises ConfigError, StoreUnavailable."""
    if kind == "memory":
        return MemoryStore(scripts)
    if scripts is not None:
        raise ConfigError(f"store {kind!r}: scripts can be replaced in the memory store only")
    if kind == "fakeredis":
        return FakeRedisStore()
    if kind == "embedded":
        return RealStore(None)
    if kind.startswith(("redis://", "rediss://", "unix://")):
        return RealStore(kind)
    raise ConfigError(f"store {kind!r} is not known: use {STORES}")
