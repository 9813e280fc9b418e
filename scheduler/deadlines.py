"""The deadlines of many things, with one timer for all of them."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from scheduler.clock import Clock

STALE_TIMES = 100
"""Moments without a thing that may stay in the heap, beyond one for each that has some."""


class HasDeadline(Hashable, Protocol):
    """Something that is due at `deadline_ms`; 0 = never."""

    deadline_ms: int


T = TypeVar("T", bound=HasDeadline)


class Deadlines(Generic[T]):
    """The deadlines of many things; each has at most one, and a new one replaces it.

    A thing whose deadline is replaced or cleared is let go at once: a heap of things would keep it behind whatever is
    still to come before it, which for a finished job is the best part of the dispatch time-out. So the heap orders
    moments only, and the things of a moment stand in the order in which they were set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[int, dict[T, None]] = {}
        """ms -> the things that are due then; there is no moment without one."""
        self._times: list[int] = []
        """A heap of the keys of `_due`, and of some that are there no more."""
        self._sleeper: asyncio.Future[None] | None = None
        self._sleeps_until_ms = 0

    def __len__(self) -> int:
        return sum(map(len, self._due.values()))

    def set(self, thing: T, when_ms: int) -> None:
        """Make `thing` due at `when_ms`, whatever it was before."""
        if thing.deadline_ms == when_ms:
            return
        self.clear(thing)
        thing.deadline_ms = when_ms
        due = self._due.get(when_ms)
        if due is None:
            due = self._due[when_ms] = {}
            self._push(when_ms)
        due[thing] = None
        if self._sleeper is not None and when_ms < self._sleeps_until_ms and not self._sleeper.done():
            self._sleeper.set_result(None)

    def clear(self, thing: T) -> None:
        """Make `thing` never due; nothing happens when it isn't."""
        when_ms = thing.deadline_ms
        if not when_ms:
            return
        thing.deadline_ms = 0
        due = self._due[when_ms]
        del due[thing]
        if not due:
            del self._due[when_ms]

    def take_due(self, now_ms: int) -> T | None:
        """Return one thing that is due, the earliest first, and clear its deadline; None if there is none."""
        thing = self.first()
        if thing is None or thing.deadline_ms > now_ms:
            return None
        self.clear(thing)
        return thing

    def first(self) -> T | None:
        """Return the thing with the earliest deadline, or None."""
        when_ms = self.next_ms()
        return None if when_ms is None else next(iter(self._due[when_ms]))

    def next_ms(self) -> int | None:
        """Return the earliest deadline, or None."""
        times = self._times
        while times:
            if times[0] in self._due:
                return times[0]
            heapq.heappop(times)
        return None

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

    def _push(self, when_ms: int) -> None:
        heapq.heappush(self._times, when_ms)
        if len(self._times) > 2 * len(self._due) + STALE_TIMES:  # 2 ms at 70,000 moments, the most of a minute
            self._times = list(self._due)
            heapq.heapify(self._times)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
