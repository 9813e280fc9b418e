"""assert_no_leak: calls a function again and again, and fails when what it leaves behind grows with the calls.

It measures this process: allocated bytes of both allocators, the RSS beside them, and, with `roots`, entries of tables
and objects by type. After a leak it calls on under tracemalloc and counts types, so that the failure names source
lines.

The check itself is a generator, which yields how often to call next; the two public functions make the calls.
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
"""Readings of a pass: of the forty after settling, each of twelve segments has three."""
TIMES = 600
PASSES_MAX = 3
"""Largest number of passes: after an unclear verdict another pass makes twice as many calls."""
WARM_UP_SHARE = 0.2
"""Calls before the first reading, as a share of `times`."""
TYPES_MAX = 1000
_SIZES = ("rss_bytes", "allocated_bytes", "held_bytes")
Unclear = Literal["fail", "pass"]


def assert_no_leak(
    call: Callable[[], Any], *, per: str = "call", times: int = TIMES, limit: float | None = None,
    roots: Mapping[str, Any] | None = None, unclear: Unclear = "fail",
) -> None:  # fmt: skip
    """Call `call` for `times` times and more; raise AssertionError when memory grows with the calls.

    `per` is the word for one call in the failure. `limit` is growth of allocated bytes, in bytes for each call, that
    still counts as none (50). `roots` (name -> object or module) are what tables are looked for in. With an unclear
    verdict there are up to two more passes, each of twice as many calls; then `unclear` decides. An `async def` runs in
    an event loop of its own. Raises Unreadable where this process can't read its memory, such as under tracemalloc, and
    what `call` raises.
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
    """Do the same inside a running event loop: what `call` returns is awaited."""
    with closing(_check(per, times, limit, roots, unclear)) as steps:
        for number in steps:
            for _ in range(number):
                await call()
            await asyncio.sleep(0)  # tasks that the last call ended or cancelled are done after that


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
    """Yield how often to call next; raises AssertionError at the end."""
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
    """Within it a collection visits only objects made after its start, which takes a hundredth of the time.

    Where objects were frozen before, those that are alive now stay frozen until the next check.
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
    """Readings of this process. Their room is taken before the first one: what they hold is allocated bytes, too."""

    def __init__(self, roots: Mapping[str, Any] | None) -> None:
        from voxpool.leakgate.inside.report import MemoryReporter

        self._meter = AllocatedBytes(collect=True)
        self._reporter = MemoryReporter(roots) if roots else None
        self._sizes = {name: _room() for name in _SIZES}
        self._counts: dict[str, array[int]] = {}
        self.take(0)  # allocates what a reading needs for the first time

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
        """Return them. A block counts as a second, so that all are of one length."""
        series = Series()
        for block in range(BLOCKS):
            sizes: dict[str, Any] = {name: values[block] for name, values in self._sizes.items()}
            counts = {name: values[block] for name, values in self._counts.items()}
            series.add(Reading(t_s=float(block), work=block * calls, counts=counts, **sizes))
        return series


def _room() -> array[int]:
    return array("q", bytes(8 * BLOCKS))
