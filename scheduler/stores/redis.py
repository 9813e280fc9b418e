"""A store on one Redis or Valkey server: a flush is one pipeline of EVALSHA on a connection of its own.

Errors of sockets and of the server become StoreUnavailable, errors of a script ScriptFailed. A server that is another
process than before, or that has lost its scripts, may have lost its data: `on_restart` tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from scheduler.errors import ConfigError, ScriptFailed, StoreUnavailable
from scheduler.script_sources import FAMILIES, SORTED_SETS, ScriptSource, load_sources, partition_keys
from scheduler.scripts import ScriptCall
from scheduler.stores import without_password
from scheduler.stores.claim import Claim
from scheduler.stores.facts import StoreFacts, ask_facts
from scheduler.stores.memory import Dump

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
"""For a whole flush: at most CALLS_MAX calls of a few ms at worst. A server that takes longer is taken for lost."""
CALLS_MAX = 1024
"""Calls of one flush; a bug alone asks for more (ScriptQueue sends 256)."""

_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError, OSError)
_NOT_NOW = ("BUSY ", "MISCONF", "NOREPLICAS", "MASTERDOWN", "LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN")
"""What a server answers that can't serve now and may serve later; it has not carried out the call."""
_NOT_NOW_CLASSES = (exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.MasterDownError)


class RedisStore:
    """A ScriptRunner on one server. `url` is redis://…, rediss://… or unix:///path, with ?db= and a password if needed.

    It connects at the first call and again after each failure. `sources` replaces the scripts (tests plant bugs with
    it). Raises ConfigError for an url that can't be read.
    """

    def __init__(
        self, url: str, sources: Mapping[str, ScriptSource] | None = None, answer_timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self.on_restart: Callable[[], None] | None = None
        self.url = without_password(url)
        self.client: Any = Redis(connection_pool=_pool(url))
        """For everything beside the scripts: few connections, made when needed. Each use needs a time-out around it."""
        self._connection: Any = _pool(url).make_connection()
        self._answer_timeout_s = answer_timeout_s
        self._keys = partition_keys()
        self._sources = dict(load_sources() if sources is None else sources)
        self._sha1 = {name: source.sha1 for name, source in self._sources.items()}
        self._run_id = ""
        self._running = False
        self._claim: Claim | None = None

    async def claim(self, owner: str, on_lost: Callable[[str], None]) -> None:
        """Make `owner` the one scheduler of this store until `close`; `on_lost` hears when it is no longer.

        Raises ConfigError when another one is alive there, StoreUnavailable when the server doesn't answer.
        """
        claim = Claim(self.client, self.url, owner, on_lost)
        await claim.take()
        self._claim = claim

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable or ScriptFailed."""
        assert not self._running, "a second flush while one is on its way"
        assert len(calls) <= CALLS_MAX
        if self._claim is not None and self._claim.lost:
            raise StoreUnavailable(f"{self.url}: it belongs to another scheduler now")
        self._running = True
        try:
            async with self._in_time():
                if not self._connection.is_connected:
                    await self._connect()
                answers = await self._run_scripts(calls)
        except BaseException as error:
            # Answers may be on their way that nobody will read: never use this connection again.
            await self._connection.disconnect(nowait=True)
            if isinstance(error, _LOST):
                raise StoreUnavailable(f"{self.url}: {str(error) or 'no answer in time'}") from error
            raise
        finally:
            self._running = False
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, Exception):
                raise ScriptFailed(f"{call.name}: {answer}")
        return answers

    async def ping(self) -> None:
        """Return when the server answers. Raises StoreUnavailable."""
        try:
            async with self._in_time():
                await self.client.ping()
        except (*_LOST, exceptions.RedisError) as error:
            raise StoreUnavailable(f"{self.url}: {error}") from error

    async def clear(self) -> None:
        """Delete everything of this partition."""
        async with self._in_time():
            await self.client.delete(*self._keys)

    async def census(self) -> dict[str, int]:
        """Return how many members each family has. Raises StoreUnavailable."""
        pipe = self.client.pipeline(transaction=False)
        for family, key in zip(FAMILIES, self._keys, strict=True):
            pipe.zcard(key) if family in SORTED_SETS else pipe.hlen(key)
        return dict(zip(FAMILIES, await self._ask(pipe), strict=True))

    async def facts(self, now_ms: Callable[[], int]) -> StoreFacts:
        """Return what the server says of itself. Raises StoreUnavailable."""
        try:
            async with self._in_time():
                return await ask_facts(self.client, self.url, now_ms, self._claim.owner if self._claim else "")
        except (*_LOST, exceptions.RedisError) as error:
            raise StoreUnavailable(f"{self.url}: {error}") from error

    async def is_in_use(self) -> bool:
        """Whether a living scheduler has claimed it; takes seconds. Raises StoreUnavailable."""
        try:
            return await Claim(self.client, self.url, "", lambda reason: None).is_held()
        except (*_LOST, exceptions.RedisError) as error:
            raise StoreUnavailable(f"{self.url}: {error}") from error

    async def dump(self) -> Dump:
        """Return the whole state, in the form of MemoryStore.dump; for tests, not for large stores."""
        pipe = self.client.pipeline(transaction=True)
        for family, key in zip(FAMILIES, self._keys, strict=True):
            pipe.zrange(key, 0, -1, withscores=True) if family in SORTED_SETS else pipe.hgetall(key)
        whole: Dump = {}
        for family, found in zip(FAMILIES, await self._ask(pipe), strict=True):
            if found and family in SORTED_SETS:
                whole[family] = [(member, f"{score:.17g}") for member, score in found]
            elif found:
                whole[family] = sorted(found.items())
        return whole

    async def close(self) -> None:
        """Give the store back if it was claimed, and close the connections."""
        if self._claim is not None:
            await self._claim.give_back()
        await self._connection.disconnect()
        await self.client.aclose(close_connection_pool=True)

    async def _ask(self, pipe: Any) -> list[Any]:
        try:
            async with self._in_time():
                answers: list[Any] = await pipe.execute()
        except _LOST as error:
            raise StoreUnavailable(f"{self.url}: {error}") from error
        return answers

    def _in_time(self) -> asyncio.Timeout:
        return asyncio.timeout(self._answer_timeout_s)

    # ---- the connection of the scripts

    async def _connect(self) -> None:
        """Connect, load the scripts, and find out whether this is still the process of the last time."""
        await self._connection.connect()
        info, *loaded = await self._exchange([("INFO", "server"), *self._loads()])
        for answer in (info, *loaded):
            if isinstance(answer, Exception):
                raise StoreUnavailable(f"{self.url}: {answer}")
        run_id = str(info["run_id"] if isinstance(info, dict) else _run_id_of(info))
        known, self._run_id = self._run_id, run_id
        if known and known != run_id:
            self._tell_restart()

    def _loads(self) -> list[tuple[str, ...]]:
        return [("SCRIPT LOAD", source.text) for source in self._sources.values()]

    async def _run_scripts(self, calls: Sequence[ScriptCall]) -> list[Any]:
        answers = await self._evaluate(calls)
        missing = next((i for i, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)), None)
        if missing is not None:
            # From the first missing one on, all are called again, so that they are carried out in order.
            await self._exchange(self._loads())
            self._tell_restart()
            answers[missing:] = await self._evaluate(calls[missing:])
        return answers

    async def _evaluate(self, calls: Sequence[ScriptCall]) -> list[Any]:
        keys, sha1 = self._keys, self._sha1
        answers = await self._exchange([("EVALSHA", sha1[name], len(keys), *keys, *args) for name, args in calls])
        for answer in answers:
            if isinstance(answer, exceptions.ResponseError) and _is_not_now(answer):
                raise StoreUnavailable(f"{self.url}: {answer}")
        return answers

    async def _exchange(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """Send `commands` at once and return what each was answered, errors of the server included."""
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await connection.read_response(disconnect_on_error=False))
            except exceptions.ResponseError as error:
                answers.append(error)
        return answers

    def _tell_restart(self) -> None:
        if self.on_restart is not None:
            self.on_restart()


def _pool(url: str) -> Any:
    """Connections without time-outs of their own: redis-py uses asyncio.wait_for, which loses cancellations on 3.11."""
    try:
        return ConnectionPool.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError(f"store = {without_password(url)!r}: {error}; write redis://HOST:PORT/DB") from None


def _is_not_now(error: exceptions.ResponseError) -> bool:
    text = str(error)
    return isinstance(error, _NOT_NOW_CLASSES) or text.startswith(_NOT_NOW) or "OOM command not allowed" in text


def _run_id_of(info: str) -> str:
    for line in info.splitlines():
        if line.startswith("run_id:"):
            return line.removeprefix("run_id:")
    return ""
