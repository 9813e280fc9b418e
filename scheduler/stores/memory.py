"""A store in this process: LuaJIT runs the scripts of lua/ on a model of the Redis commands that they use.

The data lives in Lua tables, so a call crosses between Python and Lua once. It has no clock and no random numbers: the
same calls give the same answers, byte for byte those of a Redis server (tests/contract).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import ScriptFailed
from voxpool.scheduler.stores.luajit import LuaError, new_runtime
from voxpool.scheduler.stores.script_sources import HASH, LIST, NODES, SORTED_SET, Layout, ScriptSource, load_sources

Dump = dict[str, list[tuple[str, str]]]
"""Family -> (member, value, score or place) in the order of the set, list or field; only families that have members."""


class MemoryStore:
    """A ScriptRunner whose data dies with it: one partition of `layout`.

    `sources` replaces the scripts (tests plant bugs with it).
    """

    restarts = 0
    """It never loses its data by itself."""

    def __init__(
        self, sources: Mapping[str, ScriptSource] | None = None, layout: Layout = NODES, partition: int = 0
    ) -> None:
        self._lua = new_runtime()
        ranked_list = self._part("ranked_list")
        roomy_map = self._part("roomy_map")
        sorted_set = self._part("sorted_set", ranked_list, roomy_map)
        self._model = self._part("redis_model", sorted_set, roomy_map)
        self._keys: Any = self._lua.table_from(layout.keys(partition))
        self._layout = layout
        for name, source in (load_sources(layout.folder) if sources is None else sources).items():
            self._model.load(name, self._keys, source.prelude, source.body)
        self._run: Callable[..., Any] = self._model.run

    def _part(self, name: str, *parts: Any) -> Any:
        source = (Path(__file__).parent / f"{name}.lua").read_text(encoding="utf-8")
        return self._lua.execute(source, *parts, name=f"={name}", mode="t")

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order and return their answers; never gives up the loop. Raises ScriptFailed."""
        return self.run_now(calls)

    def run_now(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        """Run `calls` in order and return their answers. Raises ScriptFailed when all were tried and one failed."""
        run = self._run
        answers: list[list[str]] = []
        failed: ScriptFailed | None = None
        for name, args, _ in calls:
            try:
                answer = run(name, *args)
            except LuaError as error:
                failed = failed or ScriptFailed(f"{name}: {error}")
                continue
            if answer.__class__ is not tuple:
                answers.append([])
            elif answer[0] >= 0:
                answers.append(list(answer[1:]))
            else:
                answers.append(answer[1].split("\n"))
        if failed is not None:
            raise failed
        return answers

    async def ping(self) -> None:
        """Return at once: it is always reachable."""

    def clear(self) -> None:
        """Lose all data, as FLUSHALL does; the scripts stay."""
        self._model.clear()

    def census(self) -> dict[str, int]:
        """Return how many members each family has."""
        return dict(zip(self._layout.kinds, self._model.sizes(self._keys), strict=True))

    async def facts(self, now_ms: Callable[[], int]) -> None:
        """Return None: there is no server."""

    def dump(self) -> Dump:
        """Return the whole state, in the form of RedisStore.dump."""
        whole: Dump = {}
        for (family, kind), key in zip(self._layout.kinds.items(), self._keys.values(), strict=True):
            lines: str | None = self._model.dump(key)
            if lines is not None:
                members = [(member, value) for member, _, value in (line.partition("\t") for line in lines.split("\n"))]
                whole[family] = sorted(members, key=None if kind == HASH else _by_score)
        return whole

    async def close(self, within_s: float = 0.0) -> None:
        """Nothing is open; the data go with the object."""

    def keep_hints(self, on: bool) -> None:
        """Begin to keep the hints that scripts publish; or stop: the default, as they take memory."""
        self._model.keep_hints(on)

    def take_hints(self) -> list[tuple[str, str]]:
        """Return the hints since the last call: (channel, message)."""
        lines: str | None = self._model.take_hints()
        return [] if lines is None else [(c, m) for c, _, m in (line.partition("\t") for line in lines.split("\x1e"))]

    def count_commands(self, on: bool) -> None:
        """Begin to count the Redis commands that scripts issue, from 0; or stop: the default, it takes time."""
        self._model.count_commands(on)

    @property
    def commands_run(self) -> int:
        """How many Redis commands scripts have issued since count_commands(True)."""
        return int(self._model.commands_run())


def shown(layout: Layout, found: Sequence[Any]) -> Dump:
    """Return what a server `found` under each key of `layout` (ZRANGE WITHSCORES, LRANGE, HGETALL) as a Dump."""
    whole: Dump = {}
    for (family, kind), members in zip(layout.kinds.items(), found, strict=True):
        if not members:
            continue
        if kind == SORTED_SET:
            whole[family] = [(member, f"{score:.17g}") for member, score in members]
        elif kind == LIST:
            whole[family] = [(text, str(place)) for place, text in enumerate(members)]
        else:
            whole[family] = sorted(members.items())
    return whole


def _by_score(member: tuple[str, str]) -> tuple[float, str]:
    return float(member[1]), member[0]
