"""One heap of deadlines for many things, instead of one timer each."""

from __future__ import annotations

import asyncio
import heapq
from typing import Generic, Protocol, TypeVar

from scheduler.clock import Clock


class HasDeadline(Protocol):
    """Something that is due at `deadline_ms`; 0 = never."""

    deadline_ms: int


T = TypeVar("T", bound=HasDeadline)


class Deadlines(Generic[T]):
    """The deadlines of many things; each has at most one, and a new one replaces it.

    A replaced deadline stays in the heap until it comes to the top, where it is recognised (it isn't the thing's
    `deadline_ms` any more) and dropped. Each `set` drops up to two, so that the heap follows what is alive.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, T]] = []
        self._pushes = 0
        self._sleeper: asyncio.Future[None] | None = None
        self._sleeps_until_ms = 0

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, thing: T, when_ms: int) -> None:
        """Make `thing` due at `when_ms`, whatever it was before."""
        thing.deadline_ms = when_ms
        self._pushes += 1
        heap = self._heap
        heapq.heappush(heap, (when_ms, self._pushes, thing))
        for _ in range(2):
            if heap[0][2].deadline_ms != heap[0][0]:
                heapq.heappop(heap)
        if self._sleeper is not None and when_ms < self._sleeps_until_ms and not self._sleeper.done():
            self._sleeper.set_result(None)

    def take_due(self, now_ms: int) -> T | None:
        """Return one thing that is due, the earliest first, and forget its deadline; None if there is none."""
        when_ms = self.next_ms()
        if when_ms is None or when_ms > now_ms:
            return None
        thing = heapq.heappop(self._heap)[2]
        thing.deadline_ms = 0
        return thing

    def next_ms(self) -> int | None:
        """Return the earliest deadline, or None."""
        heap = self._heap
        while heap:
            when_ms, _, thing = heap[0]
            if thing.deadline_ms == when_ms:
                return when_ms
            heapq.heappop(heap)
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


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
