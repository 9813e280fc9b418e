"""Time in the core: the wall clock as a seam, the deadlines of many things, and the heap that both queues stand on.

The heap has the keys of a dict only (`push`, `least`, `take_least`; waiting.py uses it, too): the least key is found
quickly, and what leaves the dict is released at once. A heap of the things themselves would keep what has ended behind
whatever is still to come before it. A key that is no longer in the dict stays until it comes to the top, or until there
are too many of them.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

SETS_BITS = 48
"""Room for the number of a `set` in a key: for 2,000 years at 4,000 of them a second."""
STALE_MAX = 100
"""Keys that may stay in a heap when they are no longer in the dict, beyond one for each that is."""


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Return the milliseconds since 1970; never less than an earlier answer."""
        ...


class SystemClock:
    """The wall clock at the start plus the monotonic clock, so that a step of the system's clock changes nothing."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return (self._offset_ns + time.monotonic_ns()) // 1_000_000

    def now_ns(self) -> int:
        """Return the nanoseconds since 1970."""
        return self._offset_ns + time.monotonic_ns()

    def seconds(self) -> float:
        """Return seconds since some moment, finer than a microsecond, for measuring; uvloop's time is in whole ms."""
        return time.perf_counter()


class HasDeadline(Hashable, Protocol):
    """Something that is due at `deadline_ms`; 0 = never."""

    deadline_ms: int


T = TypeVar("T", bound=HasDeadline)
V = TypeVar("V")


class Deadlines(Generic[T]):
    """The deadlines of many things; each has at most one, and a new one replaces it.

    Of the things that are due at one moment the one that was set first comes first. A thing whose deadline is replaced
    or cleared is released at once: a job that has ended must not stay in memory until its dispatch timeout.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sets = 0
        self._keys: dict[T, int] = {}
        """Thing -> its key: its deadline, then the number of the `set`."""
        self._things: dict[int, T] = {}
        self._heap: list[int] = []
        """The keys of `_things` as a heap."""
        self._sleeper: asyncio.Future[None] | None = None
        self._sleeps_until_ms = 0

    def __len__(self) -> int:
        return len(self._things)

    def set(self, thing: T, when_ms: int) -> None:
        """Make `thing` due at `when_ms`, whatever it was before; it keeps its turn if it is due then already."""
        before_ms = thing.deadline_ms
        if before_ms == when_ms:
            return
        keys, things = self._keys, self._things
        if before_ms:
            del things[keys[thing]]
        thing.deadline_ms = when_ms
        self._sets += 1
        key = when_ms << SETS_BITS | self._sets
        keys[thing] = key
        things[key] = thing
        push(self._heap, key, things)
        if when_ms < self._sleeps_until_ms and self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def clear(self, thing: T) -> None:
        """Make `thing` never due; nothing happens when it isn't."""
        if thing.deadline_ms:
            thing.deadline_ms = 0
            del self._things[self._keys.pop(thing)]

    def take_due(self, now_ms: int) -> T | None:
        """Return one thing that is due, the earliest first, and clear its deadline; None if there is none."""
        thing = self.first()
        if thing is None or thing.deadline_ms > now_ms:
            return None
        self.clear(thing)
        return thing

    def first(self) -> T | None:
        """Return the thing with the earliest deadline, or None."""
        key = least(self._heap, self._things)
        return None if key is None else self._things[key]

    def next_ms(self) -> int | None:
        """Return the earliest deadline, or None."""
        thing = self.first()
        return None if thing is None else thing.deadline_ms

    async def sleep_until_due(self, at_most_ms: int | None = None) -> None:
        """Return when the earliest deadline has come, or after `at_most_ms`. One sleeper at a time."""
        loop = asyncio.get_running_loop()
        while True:
            now_ms = self._clock.now_ms()
            if at_most_ms is not None and at_most_ms <= 0:
                return
            next_ms = self.next_ms()
            if next_ms is not None and next_ms <= now_ms:
                return
            ends_ms = [at for at in (next_ms, None if at_most_ms is None else now_ms + at_most_ms) if at is not None]
            self._sleeper = loop.create_future()
            self._sleeps_until_ms = min(ends_ms, default=2**63)
            timer = loop.call_later((self._sleeps_until_ms - now_ms) / 1000, _wake, self._sleeper) if ends_ms else None
            try:
                await self._sleeper
            finally:
                self._sleeper = None
                if timer is not None:
                    timer.cancel()
            if at_most_ms is not None:
                at_most_ms -= self._clock.now_ms() - now_ms


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def push(heap: list[int], key: int, alive: Mapping[int, Any]) -> None:
    """Put `key`, which has just come into `alive`, into the heap of its keys."""
    heapq.heappush(heap, key)
    if len(heap) > 2 * len(alive) + STALE_MAX:  # 4 ms for 100,000 keys, once in as many pushes
        heap[:] = alive
        heapq.heapify(heap)


def least(heap: list[int], alive: Mapping[int, Any]) -> int | None:
    """Return the least key of `alive`, or None when it is empty."""
    while heap:
        if heap[0] in alive:
            return heap[0]
        heapq.heappop(heap)
    return None


def take_least(heap: list[int], alive: dict[int, V]) -> V:
    """Remove the least key of `alive`, which isn't empty, and return what it stood for."""
    while True:
        key = heapq.heappop(heap)
        if key in alive:
            return alive.pop(key)
