"""A store on one Redis or Valkey server: a flush is one pipeline of EVALSHA on a connection of its own.

What a bad answer means is decided in answers.py: an error raised inside a script of ours is ScriptFailed, all else is
StoreUnavailable. A server that is another process than before, or that has lost its scripts, may have lost its data:
`restarts` counts that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ConfigError, ScriptFailed, StoreUnavailable, VoxpoolError
from voxpool.scheduler.stores.answers import (
    CONNECT_TIMEOUT_S,
    FAULTS,
    asked,
    meaning_of,
    text_of,
    unavailable,
)
from voxpool.scheduler.stores.claim import GIVE_BACK_S, Claim
from voxpool.scheduler.stores.facts import StoreFacts, ask_facts
from voxpool.scheduler.stores.flush import (
    ACK_MS,
    CALLS_MAX,
    COMMANDS,
    MARK_MS,
    Flush,
    Outcome,
    command,
    listed,
    too_few,
)
from voxpool.scheduler.stores.meanings import BROKEN, TOPOLOGY
from voxpool.scheduler.stores.memory import Dump, shown
from voxpool.scheduler.stores.script_connection import Command, ScriptConnection
from voxpool.scheduler.stores.script_sources import (
    LIST,
    NODES,
    SORTED_SET,
    Layout,
    ScriptSource,
    load_sources,
)
from voxpool.scheduler.stores.shown import without_password

ANSWER_TIMEOUT_S = 5.0
"""For a whole flush: at most CALLS_MAX calls of a few ms at worst. A server that takes longer counts as lost."""


class RedisStore:
    """A ScriptRunner on one server. `url` is redis://…, rediss://… or unix:///path, with ?db= and a password if needed.

    It serves one partition of `layout`, connects at the first call, and again after each failure. `sources` replaces
    the scripts (tests plant bugs with it). Raises ConfigError for an url that can't be read.
    """

    def __init__(
        self,
        url: str,
        sources: Mapping[str, ScriptSource] | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        layout: Layout = NODES,
        partition: int = 0,
    ) -> None:
        self.restarts = 0
        """How often the server may have lost its data."""
        self.url = without_password(url)
        self.client: Any = Redis(connection_pool=pool_of(url))
        """For everything beside the scripts: few connections, made when needed. Each use needs a timeout around it."""
        self._connection = ScriptConnection(pool_of(url).make_connection())
        self._answer_timeout_s = answer_timeout_s
        self._layout = layout
        self._keys = layout.keys(partition)
        self._sources = dict(load_sources(layout.folder) if sources is None else sources)
        self._sha1 = {name: source.sha1 for name, source in self._sources.items()}
        self.run_id = ""
        """The process that was connected to last; "" = none yet, or it is unknown."""
        self._number = 0
        """The connection, as its server counts; 0 = unknown."""
        self._running = False
        self._claim: Claim | None = None

    async def claim(self, owner: str, on_lost: Callable[[str], None]) -> None:
        """Make `owner` the one scheduler of this store until `close`; `on_lost` is called when it no longer is.

        Raises ConfigError when another one is alive there, StoreUnavailable when the server doesn't answer.
        """
        claim = Claim(self.client, self.url, owner, on_lost)
        await claim.take()
        self._claim = claim

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order, in one round trip. Raises StoreUnavailable or ScriptFailed."""
        (outcome,) = await self.run_all([Flush(self._keys, calls)])
        if isinstance(outcome, VoxpoolError):
            await self.disconnect(outcome)
            raise outcome
        return outcome

    async def run_all(self, flushes: Sequence[Flush], acks: int = 0) -> list[Outcome]:
        """Run `flushes` in order, in one round trip; `acks` = replicas that have to have what was written and read.

        Raises StoreUnavailable when no answer came.
        """
        assert not self._running, "a second flush while one is on its way"
        assert all(len(flush.calls) <= CALLS_MAX for flush in flushes)
        if self._claim is not None and self._claim.lost:
            raise StoreUnavailable(f"{self.url}: it belongs to another scheduler now")
        self._running = True
        try:
            count = sum(len(flush.calls) for flush in flushes)
            async with asked(self.url, f"a flush of {count} script calls", self._answer_timeout_s):
                if not self._connection.is_connected:
                    await self._connect()
                return await self._run_scripts(flushes, acks)
        except BaseException as error:
            await self.disconnect(error)
            raise
        finally:
            self._running = False

    async def disconnect(self, error: BaseException) -> None:
        """Close the connection of the scripts after `error`: answers may be on their way that nobody reads."""
        with contextlib.suppress(*FAULTS):
            await self._connection.disconnect()
        if isinstance(error, StoreUnavailable) and error.meaning == TOPOLOGY:
            await self._leave_server()

    async def ping(self) -> None:
        """Return when the server answers. Raises StoreUnavailable."""
        async with asked(self.url, "PING", self._answer_timeout_s):
            await self.client.ping()

    async def clear(self) -> None:
        """Delete everything of this partition. Raises StoreUnavailable."""
        async with asked(self.url, "DEL", self._answer_timeout_s):
            await self.client.delete(*self._keys)

    async def census(self, keys: Sequence[str] = ()) -> dict[str, int]:
        """Return how many members each family has (in the partition of `keys`). Raises StoreUnavailable."""
        pipe = self.client.pipeline(transaction=False)
        for kind, key in zip(self._layout.kinds.values(), keys or self._keys, strict=True):
            {SORTED_SET: pipe.zcard, LIST: pipe.llen}.get(kind, pipe.hlen)(key)
        return dict(zip(self._layout.kinds, await self._ask(pipe, "a count of the keys"), strict=True))

    async def facts(self, now_ms: Callable[[], int]) -> StoreFacts:
        """Return the facts about the server. Raises StoreUnavailable."""
        async with asked(self.url, "INFO", self._answer_timeout_s):
            return await ask_facts(self.client, self.url, now_ms, self._claim.owner if self._claim else "")

    async def is_in_use(self) -> bool:
        """Whether a living scheduler has claimed it; takes seconds. Raises StoreUnavailable."""
        return await Claim(self.client, self.url, "", lambda reason: None).is_held()

    async def dump(self) -> Dump:
        """Return the whole state, in the form of MemoryStore.dump; for tests, not for large stores."""
        pipe = self.client.pipeline(transaction=True)
        for kind, key in zip(self._layout.kinds.values(), self._keys, strict=True):
            if kind == SORTED_SET:
                pipe.zrange(key, 0, -1, withscores=True)
            elif kind == LIST:
                pipe.lrange(key, 0, -1)
            else:
                pipe.hgetall(key)
        answers = await self._ask(pipe, "a dump of the keys")
        return shown(self._layout, answers)

    async def close(self, within_s: float = GIVE_BACK_S) -> None:
        """Give the store back if it was claimed, and close the connections; both within `within_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if self._claim is not None:
                    await self._claim.give_back(within_s)
                await self.client.aclose(close_connection_pool=True)
        await self._connection.disconnect()

    async def _ask(self, pipe: Any, what: str) -> list[Any]:
        async with asked(self.url, what, self._answer_timeout_s):
            answers: list[Any] = await pipe.execute()
            return answers

    async def _leave_server(self) -> None:
        """Close the idle connections beside the scripts', too: the claim must follow the data."""
        with contextlib.suppress(*FAULTS):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    # ---- the connection of the scripts

    async def _connect(self) -> None:
        """Connect, load the scripts, and find out whether this is still the process of the last time.

        Then the connection of before is closed there, too: what it sent may be on its way, or in a server that stands
        still, and would be carried out after its repetition, without anybody to read the answer. A server that does
        not know or allow CLIENT is used without that.
        """
        await self._connection.connect()
        info, number, *loaded = await self._connection.exchange([("INFO", "server"), ("CLIENT", "ID"), *self._loads()])
        self._check([("INFO", info), *zip(self._sources, loaded, strict=True)])
        run_id, left = _run_id_of(info), self._number
        known, self.run_id = self.run_id, run_id
        if known and known != run_id:
            self.restarts += 1
        elif left:
            await self._connection.exchange([("CLIENT", "KILL", "ID", left)])
        self._number = number if isinstance(number, int) else 0

    def _loads(self) -> list[Command]:
        return [("SCRIPT", "LOAD", source.text) for source in self._sources.values()]

    async def _run_scripts(self, flushes: Sequence[Flush], acks: int) -> list[Outcome]:
        commands = [command for flush in flushes for command in self._commands(flush)]
        if acks:
            commands.append(("WAIT", acks, ACK_MS))
        answers = await self._connection.exchange(commands)
        missing = next((i for i, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)), None)
        if missing is not None:
            # From the first missing one on, all are called again, so that they are carried out in order.
            loaded = await self._connection.exchange(self._loads())
            self._check(list(zip(self._sources, loaded, strict=True)))
            self.restarts += 1
            answers[missing:] = await self._connection.exchange(commands[missing:])
        outcomes, at = list[Outcome](), 0
        for flush in flushes:
            end = at + len(flush.calls) + bool(flush.mark)
            try:
                outcome: Outcome = self._answers(flush, answers[at:end])
                if acks:
                    self._check_acks(answers[-1], acks)
            except VoxpoolError as error:
                outcome = error
            outcomes.append(outcome)
            at = end
        return outcomes

    def _check_acks(self, answer: Any, acks: int) -> None:
        """Raise StoreUnavailable unless the `answer` to WAIT is at least `acks`."""
        self._check([("WAIT", answer)])
        reason = too_few(int(answer), acks)
        if reason:
            raise StoreUnavailable(f"{self.url}: {reason}")

    def _answers(self, flush: Flush, answers: list[Any]) -> list[list[str]]:
        """Return the answers to the calls of `flush`. Raises the error among them."""
        names = [call.name for call in flush.calls]
        self._check(list(zip([*names, "SET"], answers, strict=False)))
        del answers[len(names) :]
        for place, name in enumerate(names):
            if name in COMMANDS:
                answers[place] = listed(answers[place])
        for answer in answers:
            if not isinstance(answer, list):
                raise StoreUnavailable(f"{self.url}: {str(answer)[:80]!r} is no answer of a script")
        return answers

    def _check(self, answers: Sequence[tuple[str, Any]]) -> None:
        """Raise the error that is among `answers` to a command or script: the first to repeat, else the first at all.

        What was carried out of a flush that is repeated does no harm; an error of a script ends the process.
        """
        broken: ScriptFailed | None = None
        for name, answer in answers:
            if isinstance(answer, Exception):
                if meaning_of(answer) != BROKEN:
                    raise unavailable(self.url, answer)
                broken = broken or ScriptFailed(f"{name}: {text_of(answer)}")
        if broken is not None:
            raise broken

    def _commands(self, flush: Flush) -> list[Command]:
        keys, sha1 = flush.keys, self._sha1
        commands: list[Command] = [
            command(call) if call.name in COMMANDS else ("EVALSHA", sha1[call.name], len(keys), *keys, *call.args)
            for call in flush.calls
        ]
        if flush.mark:
            commands.append(("SET", flush.mark, "1", "PX", MARK_MS))
        return commands


def pool_of(url: str) -> Any:
    """Connections without timeouts of their own (answers.asked), in RESP 2: some proxies have no HELLO."""
    try:
        return ConnectionPool.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=None,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError(f"store = {without_password(url)!r}: {error}; write redis://HOST:PORT/DB") from None


def _run_id_of(info: object) -> str:
    """Return the run id in an answer to INFO; "" when there is none, which a proxy may well answer."""
    for line in str(info).splitlines():
        if line.startswith("run_id:"):
            return line.removeprefix("run_id:").strip()
    return ""
