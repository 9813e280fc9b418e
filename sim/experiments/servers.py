"""A real server for measurements: it runs production's and old scripts, and reads the server's counters.

It uses no virtual time. The server counts commands and microseconds (INFO commandstats), so figures include neither
client nor network.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.embedded import EmbeddedStore
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.experiments.pools.without import pool_scripts

ANSWER_TIMEOUT_S = 60.0
AT_ONCE = 500
"""Commands per round trip."""
DATA_COMMANDS = (
    *("exists", "expire", "hdel", "hget", "hset", "sadd", "scard", "sismember", "srandmember"),
    *("zadd", "zlexcount", "zrange", "zrangebylex", "zrangebyscore", "zrem", "zscore"),
)
"""The commands of production's and old scripts; all other commands of a server belong to the measurement."""


class Spent(NamedTuple):
    """The counters of a server."""

    commands: int
    script_us: float

    def since(self, before: Spent) -> Spent:
        """Return the difference to `before`."""
        return Spent(self.commands - before.commands, self.script_us - before.script_us)


class Server:
    """A server: that of `url`, or one that is started and stopped here (`binary` replaces the bundled executable).

    Raises ConfigError when `url` has data of a scheduler, StoreUnavailable when no server answers.
    """

    def __init__(self, url: str = "", binary: str = "") -> None:
        self._runner = asyncio.Runner()
        self._embedded: EmbeddedStore | None = None
        self._store: RedisStore | None = None
        try:
            if not url:
                self._embedded = EmbeddedStore(binary=binary)
                self._runner.run(self._embedded.start())
                url = self._embedded.url
            self._store = RedisStore(url, answer_timeout_s=ANSWER_TIMEOUT_S)
            self._runner.run(self._store.ping())
            if any(self._runner.run(self._store.census()).values()):
                shown = without_password(url)
                raise ConfigError(f"store {shown!r}: it has data of a scheduler; name an empty database (/1, /2, …)")
        except BaseException:
            self._close_connections()
            raise
        self.name = _name(self._info("server"))

    def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run production's scripts in one flush."""
        return self._runner.run(self._opened.run(calls))

    def evaluate(self, script: str, calls: Iterable[Sequence[str]]) -> list[Any]:
        """Run an old script once for each ARGV of `calls`."""
        (sha1,) = self.pipeline([("SCRIPT LOAD", script)])
        return self.pipeline([("EVALSHA", sha1, 0, *args) for args in calls])

    def pipeline(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """Run plain commands, some hundreds per round trip, and return their answers."""
        listed, answers = list(commands), []
        for start in range(0, len(listed), AT_ONCE):
            answers += self._runner.run(self._pipeline(listed[start : start + AT_ONCE]))
        return answers

    def spent(self) -> Spent:
        """Return the current counters of the server."""
        stats = self._info("commandstats")
        commands = sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in DATA_COMMANDS)
        return Spent(commands, float(stats.get("cmdstat_evalsha", {}).get("usec", 0)))

    def cost(self, *calls: ScriptCall) -> Spent:
        """Run production's scripts and return their cost by the server's counters."""
        before = self.spent()
        self.run(calls)
        return self.spent().since(before)

    def clear(self) -> None:
        """Delete all data of production's and old scripts."""
        self._runner.run(self._clear())

    def close(self) -> None:
        """Clear the server, and stop it if it was started here."""
        try:
            self.clear()
        finally:
            self._close_connections()

    @property
    def _opened(self) -> RedisStore:
        assert self._store is not None
        return self._store

    def _info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self._runner.run(self._opened.client.info(section))
        return found

    async def _pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        pipe = self._opened.client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = await pipe.execute()
        return answers

    async def _clear(self) -> None:
        await self._opened.clear()
        client = self._opened.client
        async for key in client.scan_iter(match=f"{pool_scripts.PREFIX}:*", count=AT_ONCE):
            await client.unlink(key)

    def _close_connections(self) -> None:
        if self._store is not None:
            self._runner.run(self._store.close())
        if self._embedded is not None:
            self._runner.run(self._embedded.close())
        self._runner.close()


def open_server(store: str) -> Server:
    """Return the server for --store `store`: the one at an address, else a new one."""
    return Server(store if "://" in store else "")


def system_redis() -> str:
    """Return the path of this machine's redis-server; '' when there is none."""
    return shutil.which("redis-server") or ""


def _name(info: dict[str, Any]) -> str:
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"
