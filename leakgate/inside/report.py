"""Makes the memory report of a process from inside; most of it is not visible from outside.

It runs inside a busy server, so each step is short or cut into turns; only a full collection, which must be requested,
can't be cut. The report has the time for which each step blocked the process.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from voxpool.leakgate.errors import Unreadable
from voxpool.leakgate.inside.allocators import AllocatedBytes, read_rss
from voxpool.leakgate.inside.sizes import Sizes, measure_sizes, type_name
from voxpool.leakgate.inside.tables import find_tables
from voxpool.leakgate.inside.tracing import Trace
from voxpool.leakgate.inside.work import Work
from voxpool.leakgate.readings.process import started_s
from voxpool.leakgate.readings.series import Bound

OBJECTS_A_TURN = 20_000
"""Objects whose types are counted in one turn: about a millisecond."""


class Memory(msgspec.Struct):
    """The composition of memory. `allocated` up: a leak of objects. `allocated` flat and `held` up: fragmentation, or
    memory kept for later. Both flat and `rss` up: native code that bypasses both allocators.
    """

    rss_bytes: int
    rss_max_bytes: int
    """Maximum RSS so far."""
    allocated_bytes: int | None = None
    """Requested and not freed: python_bytes + malloc_bytes."""
    held_bytes: int | None = None
    """Mapped by both allocators: arenas_bytes + malloc_bytes + malloc_free_bytes."""
    python_bytes: int | None = None
    """In allocated blocks of CPython's small-object allocator."""
    arenas_bytes: int | None = None
    malloc_bytes: int | None = None
    malloc_free_bytes: int | None = None
    unreadable: str | None = None
    """Reason why the allocators can't be read; then the six fields above are null, never 0."""


class Collector(msgspec.Struct):
    """Python's garbage collector. `counts` are objects made since the last collection of each generation."""

    counts: tuple[int, ...]
    thresholds: tuple[int, ...]
    collections: tuple[int, ...]
    collected: int
    uncollectable: int
    frozen: int
    """Objects frozen after the start, which it never visits."""


class Objects(msgspec.Struct):
    """Objects tracked by the collector, without the frozen ones, by type; the most frequent ones are named.

    Records without references to others are not tracked; `tables` and `sizes` count them.
    """

    total: int
    types: dict[str, int]


class Tasks(msgspec.Struct):
    """Tasks of the running event loop by function."""

    total: int
    functions: dict[str, int]


class MemoryReport(msgspec.Struct):
    """The memory report. `tables` is path -> entries of each container that the roots reach."""

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
    """Time for which each step blocked the process; for `objects` and `sizes` the longest turn."""
    pid: int
    started_s: float
    """Start of the process in seconds since boot; with `pid` it identifies the process."""
    bounds: dict[str, Bound]
    """Declared maxima of counts: "table PATH" or "type NAME" -> its bound."""
    work: int | None = None
    """Units of work that ended since the start of the process; null when they are not counted."""
    in_flight: int | None = None
    """Units of work in progress."""
    errors: int | None = None
    """Units of work that failed."""
    sizes: Sizes | None = None
    """Bytes of all objects by type; only on request."""
    trace: Trace | None = None
    """Largest growth by source line; only on request, and while tracing is on."""


class MemoryReporter:
    """Makes reports, one at a time.

    Tables are counted in `roots` (name -> object or module), through objects whose classes are in `packages` (none =
    all but the standard library); `seconds` is a high-resolution clock. `bounds` returns the declared maxima of counts;
    bounded tables such as a deque with maxlen need none. `work` returns the counter of work, if there is one.
    """

    def __init__(
        self,
        roots: Mapping[str, Any],
        seconds: Callable[[], float] = time.perf_counter,
        packages: Sequence[str] = (),
        bounds: Callable[[], Mapping[str, Bound]] = dict,
        work: Callable[[], Work | None] = lambda: None,
    ) -> None:
        self._roots = roots
        self._seconds = seconds
        self._packages = packages
        self._bounds = bounds
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self._one_thread_at_a_time = threading.Lock()
        self._meter: AllocatedBytes | None = None

    async def report(self, collect: bool, types_max: int, sizes: bool = False) -> MemoryReport:
        """Return a report, after a full collection if `collect`. At most `types_max` types are named.

        `sizes` adds a pass over all objects, which takes some seconds of processor time in short turns.
        """
        async with self._one_at_a_time:
            for report in self._steps(collect, types_max, sizes):
                if report is not None:
                    return report
                await asyncio.sleep(0)
        raise AssertionError

    def report_now(self, collect: bool, types_max: int, sizes: bool = False) -> MemoryReport:
        """Return the report without giving way to other tasks, for a server without an event loop."""
        with self._one_thread_at_a_time:
            for report in self._steps(collect, types_max, sizes):
                if report is not None:
                    return report
        raise AssertionError

    def _steps(self, collect: bool, types_max: int, with_sizes: bool) -> Iterator[MemoryReport | None]:
        """Yield None after each turn, and the report as the last item."""
        pauses: dict[str, float] = {}

        def timed(step: str, do: Callable[[], Any]) -> Any:
            start_s = self._seconds()
            done = do()
            pauses[step] = max(pauses.get(step, 0.0), round(1000 * (self._seconds() - start_s), 3))
            return done

        if collect:
            timed("collect", gc.collect)
            yield None
        memory = timed("memory", self._memory)
        blocks = sys.getallocatedblocks()
        work = self._work()
        counted = (work.finished, work.in_flight, work.errors) if work is not None else (None, None, None)
        yield None
        tables = timed("tables", lambda: find_tables(self._roots, self._packages))
        bounds = {f"table {path}": Bound(entries) for path, entries in tables.bounds.items()}
        bounds |= timed("tables", self._bounds)
        tasks = timed("tasks", _tasks)
        open_files = timed("open_files", lambda: len(os.listdir("/proc/self/fd")) - 1)
        yield None
        followed = timed("objects", gc.get_objects)
        total, types = len(followed), Counter[type]()
        while followed:  # counted objects are released: this list may have the last reference
            timed("objects", lambda: types.update(map(type, _take(followed))))
            yield None
        sizes: Sizes | None = None
        if with_sizes:
            turns = measure_sizes(types_max, self._seconds)
            while (sizes := timed("sizes", lambda: next(turns))) is None:
                yield None
        yield MemoryReport(
            memory=memory,
            blocks=blocks,
            collector=_collector(),
            objects=Objects(total, _named(types, types_max)),
            tables=tables.entries,
            tasks=tasks,
            threads=threading.active_count(),
            open_files=open_files,
            pauses_ms=pauses,
            pid=os.getpid(),
            started_s=started_s(os.getpid()),
            bounds=bounds,
            work=counted[0],
            in_flight=counted[1],
            errors=counted[2],
            sizes=sizes,
        )

    def _memory(self) -> Memory:
        rss_max = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        try:
            if self._meter is None:
                self._meter = AllocatedBytes()
            now = self._meter.read()
        except Unreadable as error:
            rss = read_rss()
            return Memory(rss_bytes=rss, rss_max_bytes=max(rss, rss_max), unreadable=str(error))
        return Memory(
            rss_bytes=now.rss,
            rss_max_bytes=max(now.rss, rss_max),  # the kernel's maximum lags by some pages
            allocated_bytes=now.allocated,
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
        named[type_name(kind)] += count
    return dict(named.most_common(types_max))


def _tasks() -> Tasks:
    functions: Counter[str] = Counter()
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no event loop runs in this thread
        tasks = set()
    for task in tasks:
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
