"""A store on one Redis or Valkey server: a flush is one pipeline of EVALSHA.

Errors of the connection become StoreUnavailable, errors of a script ScriptFailed. A server that was restarted, or that
lost its scripts, is noticed and told by `on_restart`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool

from scheduler.errors import ConfigError, ScriptFailed, StoreUnavailable
from scheduler.script_sources import FAMILIES, SORTED_SETS, load_sources, partition_keys
from scheduler.scripts import ScriptCall
from scheduler.stores.memory import Dump

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
"""A flush holds at most 256 calls, each of a few ms at worst; a server that takes longer is taken for lost."""
_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError, OSError)


class RedisStore:
    """A ScriptRunner on one server, on one connection. `url` is redis://…, rediss://… or unix:///path."""

    def __init__(self, url: str) -> None:
        self.on_restart: Callable[[], None] | None = None
        self.url = url
        try:
            pool = ConnectionPool.from_url(
                url,
                decode_responses=True,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=ANSWER_TIMEOUT_S,
                health_check_interval=0,
                retry=None,
            )
        except ValueError as error:
            raise ConfigError(f"store = {url!r}: {error}; write redis://HOST:PORT/DB") from None
        self.client: Any = Redis(connection_pool=pool)  # redis-py's own types don't know decode_responses
        self._keys = partition_keys()
        self._sources = load_sources()
        self._run_id = ""
        self._connected: Any = None
        self._pool: Any = pool
        self._busy = False

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable or ScriptFailed."""
        assert not self._busy, "one flush at a time"
        self._busy = True
        try:
            return await self._run(calls)
        except _LOST as error:
            raise StoreUnavailable(f"{self.url}: {error}") from error
        finally:
            self._busy = False

    async def ping(self) -> None:
        """Return when the server answers. Raises StoreUnavailable."""
        try:
            await self.client.ping()
        except _LOST as error:
            raise StoreUnavailable(f"{self.url}: {error}") from error

    async def clear(self) -> None:
        """Delete everything of this partition."""
        await self.client.delete(*self._keys)

    async def census(self) -> dict[str, int]:
        """Return how many members each family has."""
        pipe = self.client.pipeline(transaction=False)
        for family, key in zip(FAMILIES, self._keys, strict=True):
            pipe.zcard(key) if family in SORTED_SETS else pipe.hlen(key)
        return dict(zip(FAMILIES, await pipe.execute(), strict=True))

    async def dump(self) -> Dump:
        """Return the whole state: family -> (member, score or value), only families that have members."""
        whole: Dump = {}
        for family, key in zip(FAMILIES, self._keys, strict=True):
            if family in SORTED_SETS:
                members = await self.client.zrange(key, 0, -1, withscores=True)
                entries = [(member, f"{score:.0f}") for member, score in members]
            else:
                entries = sorted((await self.client.hgetall(key)).items())
            if entries:
                whole[family] = entries
        return whole

    async def close(self) -> None:
        """Close the connection."""
        await self.client.aclose()

    async def _run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        await self._notice_restart()
        answers = await self._execute(calls)
        missing = [i for i, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
        if missing:
            # Nothing before the first missing script depends on it, and everything from there on is repeatable.
            await self._load_scripts()
            self._restarted()
            answers[missing[0] :] = await self._execute(calls[missing[0] :])
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, _LOST):
                raise answer
            if isinstance(answer, Exception):
                raise ScriptFailed(f"{call.name}: {answer}")
        return answers

    async def _execute(self, calls: Sequence[ScriptCall]) -> list[Any]:
        pipe = self.client.pipeline(transaction=False)
        for name, args in calls:
            pipe.execute_command("EVALSHA", self._sources[name].sha1, len(self._keys), *self._keys, *args)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers

    async def _load_scripts(self) -> None:
        pipe = self.client.pipeline(transaction=False)
        for source in self._sources.values():
            pipe.script_load(source.text)
        await pipe.execute()

    async def _notice_restart(self) -> None:
        """After a break of the connection the server may be another process, with other data."""
        connection = await self._pool.get_connection()
        try:
            if connection is self._connected and connection.is_connected:
                return
            await connection.connect()
            self._connected = connection
        finally:
            await self._pool.release(connection)
        run_id = str((await self.client.info("server"))["run_id"])
        if run_id != self._run_id:
            known, self._run_id = bool(self._run_id), run_id
            await self._load_scripts()
            if known:
                self._restarted()

    def _restarted(self) -> None:
        if self.on_restart is not None:
            self.on_restart()
