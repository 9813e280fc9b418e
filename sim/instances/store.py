"""The partitions of the explored store: lua/jobs/ on the memory model, audio beside it, hints, and lost writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.stores.memory import Dump, MemoryStore
from voxpool.scheduler.stores.script_sources import JOBS, LIST, SORTED_SET, ScriptSource, load_sources

_PUT_BACK = ScriptSource(
    "",
    """local family, command = tonumber(ARGV[1]), ARGV[2]
    for at = 3, #ARGV, 2 do
      if command == 'RPUSH' then redis.call('RPUSH', KEYS[family], ARGV[at])
      elseif command == 'HSET' then redis.call('HSET', KEYS[family], ARGV[at], ARGV[at + 1])
      else redis.call('ZADD', KEYS[family], ARGV[at + 1], ARGV[at]) end
    end
    return {}""",
)
"""A script of the explorer alone: writes members of a family, as a replica has them."""


class PartitionStore:
    """One partition. `restarts` counts the times at which it lost writes."""

    def __init__(self, partition: int, sources: Mapping[str, ScriptSource] | None = None) -> None:
        scripts = load_sources(JOBS.folder) if sources is None else sources
        self._store = MemoryStore({**scripts, "put_back": _PUT_BACK}, JOBS, partition)
        self._store.keep_hints(True)
        self.audio: dict[str, bytes] = {}
        self.restarts = 0
        self.hints: dict[str, deque[str]] = {}
        """Scheduler -> the hints that are on their way to it."""
        self._saved: tuple[Dump, dict[str, bytes]] | None = None

    def run(self, call: ScriptCall) -> list[Any]:
        """Carry out one call."""
        if call.name == "SET":
            self.audio[call.args[0]] = call.data
            return ["OK"]
        if call.name == "MGET":
            return [self.audio.get(key, b"") for key in call.args]
        if call.name == "UNLINK":
            return [str(sum(self.audio.pop(key, None) is not None for key in call.args))]
        (answer,) = self._store.run_now([call])
        for channel, text in self._store.take_hints():
            self.hints.setdefault(channel.rpartition(":")[2], deque()).append(text)
        return answer

    def members(self, family: str) -> list[str]:
        """Return the members or fields of a family."""
        return [member for member, _ in self.dump().get(family, [])]

    def dump(self) -> Dump:
        """Return the whole state but the audio."""
        return self._store.dump()

    def save(self) -> None:
        """A replica has got everything until now."""
        self._saved = (self.dump(), dict(self.audio))

    @property
    def can_lose(self) -> bool:
        """Whether a replica can be promoted."""
        return self._saved is not None

    def lose_writes(self) -> None:
        """The replica is promoted: all that was written since `save` is lost, and all hints."""
        assert self._saved is not None
        (dump, audio), self._saved = self._saved, None
        self._store.clear()
        for place, (family, kind) in enumerate(JOBS.kinds.items(), 1):
            command = "ZADD" if kind == SORTED_SET else "RPUSH" if kind == LIST else "HSET"
            members = [text for member in dump.get(family, []) for text in member]
            for at in range(0, len(members), 1000):
                self._store.run_now([ScriptCall("put_back", [str(place), command, *members[at : at + 1000]])])
        self.audio = audio
        self.hints.clear()
        self.restarts += 1


class Flush:
    """A flush on its way: what was carried out of it, and whether it broke."""

    def __init__(self, calls: Sequence[ScriptCall]) -> None:
        self.calls = list(calls)
        self.answers: list[list[Any]] = []
        self.is_broken = False

    @property
    def is_done(self) -> bool:
        """Whether nothing of it will be carried out any more."""
        return self.is_broken or len(self.answers) == len(self.calls)
