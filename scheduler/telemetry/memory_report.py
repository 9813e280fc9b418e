"""What a scheduler's memory is made of, told by the process itself: nobody can see that from outside.

It runs on the loop of a scheduler that works, so each step is short or cut into turns; only a full collection, which
is asked for by name, can't be cut. How long each step held the loop stands in the report.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from scheduler.telemetry.live_bytes import LiveBytes, Unreadable, read_rss
from scheduler.telemetry.tables import table_sizes

OBJECTS_A_TURN = 20_000
"""Objects whose types are counted before other work gets its turn: about a millisecond."""


class Memory(msgspec.Struct):
    """Where the bytes are. `live` up: a leak of objects. `live` flat and `held` up: fragmentation, or kept for later.
    Both flat and `rss` up: native code that goes round both allocators.
    """

    rss_bytes: int
    rss_max_bytes: int
    """The most that it ever was."""
    live_bytes: int | None = None
    """Asked for and not given back: python_bytes + malloc_bytes."""
    held_bytes: int | None = None
    """Taken from the system by both allocators: arenas_bytes + malloc_bytes + malloc_free_bytes."""
    python_bytes: int | None = None
    """In allocated blocks of CPython's small-object allocator."""
    arenas_bytes: int | None = None
    malloc_bytes: int | None = None
    malloc_free_bytes: int | None = None
    unreadable: str | None = None
    """Why the allocators can't be read; then the six above are null, never 0."""


class Collector(msgspec.Struct):
    """Python's garbage collector. `counts` are objects made since the last collection of each generation."""

    counts: tuple[int, ...]
    thresholds: tuple[int, ...]
    collections: tuple[int, ...]
    collected: int
    uncollectable: int
    frozen: int
    """Objects that the start made, which it never visits."""


class Objects(msgspec.Struct):
    """Objects that the collector follows, without the frozen ones, by type; the commonest ones are named.

    Records without references to others (jobs are such) are not followed: `tables` counts those.
    """

    total: int
    types: dict[str, int]


class Tasks(msgspec.Struct):
    """Tasks of the loop, by the function that they run."""

    total: int
    functions: dict[str, int]


class MemoryReport(msgspec.Struct):
    """All of it. `tables` is path -> entries of each container of the core and the doors."""

    memory: Memory
    blocks: int
    """Allocated blocks of CPython's small-object allocator."""
    collector: Collector
    objects: Objects
    tables: dict[str, int]
    tasks: Tasks
    threads: int
    open_files: int
    pauses_ms: dict[str, float]
    """How long each step held the loop; of `objects` its longest turn."""


class MemoryReporter:
    """Makes reports, one at a time. `roots` are the objects whose tables are told; `seconds` is a fine clock."""

    def __init__(self, roots: Mapping[str, Any], seconds: Callable[[], float]) -> None:
        self._roots = roots
        self._seconds = seconds
        self._one_at_a_time = asyncio.Lock()
        self._meter: LiveBytes | None = None

    async def report(self, collect: bool, types_max: int) -> MemoryReport:
        """Return what there is now; after a full collection if `collect`. At most `types_max` types are named."""
        async with self._one_at_a_time:
            pauses: dict[str, float] = {}

            def timed(step: str, do: Callable[[], Any]) -> Any:
                start_s = self._seconds()
                done = do()
                pauses[step] = max(pauses.get(step, 0.0), round(1000 * (self._seconds() - start_s), 3))
                return done

            if collect:
                timed("collect", gc.collect)
                await asyncio.sleep(0)
            memory = timed("memory", self._memory)
            blocks = sys.getallocatedblocks()
            await asyncio.sleep(0)
            tables = timed("tables", lambda: table_sizes(self._roots))
            tasks = timed("tasks", _tasks)
            open_files = timed("open_files", lambda: len(os.listdir("/proc/self/fd")) - 1)
            await asyncio.sleep(0)
            followed = timed("objects", gc.get_objects)
            total, types = len(followed), Counter[type]()
            while followed:  # what is counted is let go of: it may be the last to hold it
                timed("objects", lambda: types.update(map(type, _take(followed))))
                await asyncio.sleep(0)
            return MemoryReport(
                memory=memory,
                blocks=blocks,
                collector=_collector(),
                objects=Objects(total, _named(types, types_max)),
                tables=tables,
                tasks=tasks,
                threads=threading.active_count(),
                open_files=open_files,
                pauses_ms=pauses,
            )

    def _memory(self) -> Memory:
        rss_max = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        try:
            if self._meter is None:
                self._meter = LiveBytes()
            now = self._meter.read()
        except Unreadable as error:
            rss = read_rss()
            return Memory(rss_bytes=rss, rss_max_bytes=max(rss, rss_max), unreadable=str(error))
        return Memory(
            rss_bytes=now.rss,
            rss_max_bytes=max(now.rss, rss_max),  # the kernel's maximum lags by some pages
            live_bytes=now.live,
            held_bytes=now.held,
            python_bytes=now.python,
            arenas_bytes=now.arenas,
            malloc_bytes=now.malloc,
            malloc_free_bytes=now.malloc_free,
        )


def _take(things: list[Any]) -> list[Any]:
    taken = things[-OBJECTS_A_TURN:]
    del things[-OBJECTS_A_TURN:]
    return taken


def _named(types: Counter[type], types_max: int) -> dict[str, int]:
    named: Counter[str] = Counter()
    for kind, count in types.items():
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        named[name] += count
    return dict(named.most_common(types_max))


def _tasks() -> Tasks:
    functions: Counter[str] = Counter()
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        functions[getattr(coroutine, "__qualname__", type(coroutine).__name__)] += 1
    return Tasks(functions.total(), dict(functions.most_common()))


def _collector() -> Collector:
    stats = gc.get_stats()
    return Collector(
        counts=gc.get_count(),
        thresholds=gc.get_threshold(),
        collections=tuple(generation["collections"] for generation in stats),
        collected=sum(generation["collected"] for generation in stats),
        uncollectable=sum(generation["uncollectable"] for generation in stats),
        frozen=gc.get_freeze_count(),
    )
