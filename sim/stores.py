"""The store of a run, memory or a real one, behind a seam that adds a delay and lets watchers see what it carried out.

A real store is driven from virtual time: each call is finished in real time before virtual time goes on.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from scheduler.errors import ConfigError
from scheduler.script_sources import ScriptSource
from scheduler.scripts import ScriptCall
from scheduler.stores.memory import Dump, MemoryStore
from sim.distributions import Draw
from sim.watch import Hub

STORES = "memory, fakeredis, embedded or redis://host:port/db"


class SimStore(Protocol):
    """What the simulation asks of a store."""

    def run_now(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Carry out `calls` and return their answers."""
        ...

    def census(self) -> dict[str, int]:
        """Return the number of members by family of keys."""
        ...

    def dump(self) -> Dump:
        """Return the whole state."""
        ...


class StoreSeam:
    """The ScriptRunner that the scheduler gets: the store behind a way of `delay_s` each way."""

    def __init__(self, store: SimStore, hub: Hub, delay_s: Draw | None, mark: Callable[[], None]) -> None:
        self.on_restart: Callable[[], None] | None = None
        self._run_now = store.run_now
        self._mark = mark
        self._hub = hub
        self._delay_s = delay_s

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Carry out `calls` after the way there; the answers come after the way back."""
        if self._delay_s is not None:
            await asyncio.sleep(self._delay_s())
        answers = self._run_now(calls)
        self._hub.calls_run(calls, answers)
        self._mark()
        if self._delay_s is not None:
            await asyncio.sleep(self._delay_s())
            self._mark()
        return answers


class RealStore:
    """A store on real sockets, driven by an event loop of its own that runs only while a call is under way."""

    def __init__(self, kind: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._opened: Any = None
        self._opened, self._store = self._wait(_open(kind))

    def run_now(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        answers: list[list[str]] = self._wait(self._store.run(calls))
        return answers

    def census(self) -> dict[str, int]:
        census: dict[str, int] = self._wait(self._store.census())
        return census

    def dump(self) -> Dump:
        dump: Dump = self._wait(self._store.dump())
        return dump

    def close(self) -> None:
        """Close the connection, and stop the server if it was started for this run."""
        self._wait(_close(self._opened, self._store))
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        virtual = events._get_running_loop()
        events._set_running_loop(None)
        try:
            return self._loop.run_until_complete(coroutine)
        finally:
            events._set_running_loop(virtual)


def open_store(kind: str, scripts: Mapping[str, ScriptSource] | None = None) -> SimStore:
    """Return the store called `kind`; `scripts` replace lua/ in memory. Raises ConfigError for an unknown one."""
    if kind == "memory":
        return MemoryStore(scripts)
    if scripts is not None:
        raise ConfigError(f"store {kind!r}: scripts can be replaced in the memory store only")
    if kind not in ("fakeredis", "embedded") and not kind.startswith(("redis://", "unix://")):
        raise ConfigError(f"store {kind!r} is not known: use {STORES}")
    return RealStore(kind)
