"""assert_no_leak: calls a function repeatedly, and fails when memory grows with the calls.

It measures this process: allocated bytes of both allocators, the RSS, and, with `roots`, entries of tables and objects
by type. After a leak it continues under tracemalloc and counts types, so that the failure names source lines.

The check is a generator that yields the number of next calls; the two public functions make the calls.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from array import array
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from voxpool._extras import needs
from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.leakgate.readings.series import Reading, Series, Source

if TYPE_CHECKING:
    from voxpool.leakgate.judging.finding import MemoryFinding

BLOCKS = 60
"""Readings of a pass: after settling there are forty, so each of twelve segments has three."""
TIMES = 600
PASSES_MAX = 3
"""Maximum number of passes: after an unclear verdict another pass makes twice as many calls."""
WARM_UP_SHARE = 0.2
"""Calls before the first reading, as a share of `times`."""
TYPES_MAX = 1000
_SIZES = ("rss_bytes", "allocated_bytes", "held_bytes")
Unclear = Literal["fail", "pass"]


def assert_no_leak(
    call: Callable[[], Any], *, per: str = "call", times: int = TIMES, limit: float | None = None,
    roots: Mapping[str, Any] | None = None, unclear: Unclear = "fail",
) -> None:  # fmt: skip
    """Call `call` at least `times` times; raise AssertionError when memory grows with the calls.

    `per` is the word for one call in the failure. `limit` is the growth of allocated bytes per call that counts as none
    (50). Tables are searched in `roots` (name -> object or module). After an unclear verdict there are up to two more
    passes, each with twice as many calls; then `unclear` decides. An `async def` runs in a new event loop. Raises
    Unreadable where this process can't read its memory, such as under tracemalloc, and any exception of `call`.
    """
    if inspect.iscoroutinefunction(call):
        _must_have_no_loop()
        asyncio.run(assert_no_leak_async(call, per=per, times=times, limit=limit, roots=roots, unclear=unclear))
        return
    with closing(_check(per, times, limit, roots, unclear)) as steps:
        for number in steps:
            for _ in range(number):
                _must_be_no_awaitable(call())


async def assert_no_leak_async(
    call: Callable[[], Awaitable[Any]], *, per: str = "call", times: int = TIMES, limit: float | None = None,
    roots: Mapping[str, Any] | None = None, unclear: Unclear = "fail",
) -> None:  # fmt: skip
    """Do the same inside a running event loop: the result of `call` is awaited."""
    with closing(_check(per, times, limit, roots, unclear)) as steps:
        for number in steps:
            for _ in range(number):
                await call()
            await asyncio.sleep(0)  # completes tasks that the last call ended or cancelled


def _must_have_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise TypeError("an event loop is running: use `await assert_no_leak_async(…)`")


def _must_be_no_awaitable(result: object) -> None:
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("the call returns an awaitable: give an `async def`, or use assert_no_leak_async")


def _check(
    per: str, times: int, limit: float | None, roots: Mapping[str, Any] | None, unclear: Unclear
) -> Generator[int, None, None]:
    """Yield the numbers of next calls; raises AssertionError at the end."""
    with needs("leakgate"):
        from voxpool.leakgate.judging.judge import LEAK, LIMIT_BYTES, NO_LEAK, warm_up
        from voxpool.leakgate.watching.look_closer import finding_text, look_closer

    if times < BLOCKS:
        raise ValueError(f"times={times}: at least {BLOCKS} calls are needed")
    if unclear not in ("fail", "pass"):
        raise ValueError(f"unclear={unclear!r}: want 'fail' or 'pass'")
    warm_up()
    yield max(1, round(WARM_UP_SHARE * times))
    with _nothing_old_is_collected():
        for turn in range(PASSES_MAX):
            calls = times // BLOCKS * 2**turn
            finding = yield from _pass(calls, per, LIMIT_BYTES if limit is None else limit, roots)
            if finding.verdict == NO_LEAK:
                return
            if finding.verdict == LEAK:
                closer = yield from look_closer(times, per)
                raise AssertionError("\n".join([finding_text(finding), *closer]))
    if unclear == "fail":
        raise AssertionError(f"{finding_text(finding)}\n  give more calls (times={2 * times}), or a higher limit")


@contextmanager
def _nothing_old_is_collected() -> Iterator[None]:
    """Freeze existing objects in a block, so that a collection visits only new ones, in a hundredth of the time.

    When objects were frozen before, those alive now stay frozen until the next check.
    """
    was_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()


def _pass(calls: int, per: str, limit: float, roots: Mapping[str, Any] | None) -> Generator[int, None, MemoryFinding]:
    """Take BLOCKS readings, `calls` calls apart, and return the finding."""
    from voxpool.leakgate.judging.judge import judge_memory

    readings = _Readings(roots)
    for block in range(BLOCKS):
        yield calls
        readings.take(block)
    return judge_memory(readings.series(calls), Source(name="this process", unit=per), limit)


class _Readings:
    """Readings of this process, in preallocated arrays, because their memory counts as allocated bytes, too."""

    def __init__(self, roots: Mapping[str, Any] | None) -> None:
        from voxpool.leakgate.inside.report import MemoryReporter

        self._meter = AllocatedBytes(collect=True)
        self._reporter = MemoryReporter(roots) if roots else None
        self._sizes = {name: _room() for name in _SIZES}
        self._counts: dict[str, array[int]] = {}
        self.take(0)  # a first reading allocates memory

    def take(self, block: int) -> None:
        """Take the reading of `block`."""
        self._count(block)
        memory = self._meter.read()
        for name, value in zip(_SIZES, (memory.rss, memory.allocated, memory.held), strict=True):
            self._sizes[name][block] = value

    def _count(self, block: int) -> None:
        from voxpool.leakgate.inside.readings import counts_of

        if self._reporter is None:
            return
        for name, count in counts_of(self._reporter.report_now(True, TYPES_MAX)).items():
            if name not in self._counts:
                self._counts[name] = _room()
            self._counts[name][block] = count

    def series(self, calls: int) -> Series:
        """Return the readings as a series in which a block lasts a second."""
        series = Series()
        for block in range(BLOCKS):
            sizes: dict[str, Any] = {name: values[block] for name, values in self._sizes.items()}
            counts = {name: values[block] for name, values in self._counts.items()}
            series.add(Reading(t_s=float(block), work=block * calls, counts=counts, **sizes))
        return series


def _room() -> array[int]:
    return array("q", bytes(8 * BLOCKS))
