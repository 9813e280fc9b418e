"""The way between two machines: a delay, a bandwidth, and cuts that hold everything back until they heal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappush
from random import Random
from typing import TYPE_CHECKING, Any

from simpy.events import NORMAL

from voxpool.sim.virtual_time.loop_internals import After

if TYPE_CHECKING:
    from voxpool.sim.network.loop import NetworkLoop

RETRANSMIT_S = (0.2, 1.5)
"""A segment that a cut has held back arrives after the cut has healed and a pause between these bounds."""


Arrival = tuple[Callable[..., None], tuple[Any, ...]]


class Link:
    """Both directions of the way between two machines. Each direction keeps its order, as TCP does.

    `delay_s` returns the delay of a segment in seconds; `bytes_per_s` 0 is an unlimited bandwidth.
    """

    def __init__(self, loop: NetworkLoop, random: Random, delay_s: Callable[[], float]) -> None:
        self._loop, self._random = loop, random
        self.delay_s = delay_s
        self.bytes_per_s = 0.0
        self.is_cut = False
        self._env, self._eid = loop.env, loop.env._eid
        self._queue: list[tuple[float, Any, int, Any]] = loop.env._queue
        self._arrivals = (After(self._arrive, 0), After(self._arrive, 1))
        self._last_arrival_s = [0.0, 0.0]
        self._on_the_way: tuple[deque[Arrival], deque[Arrival]] = (deque(), deque())
        """What was sent and has not arrived, for each direction, in its order."""
        self._held = [0, 0]
        """How many arrivals a cut holds back."""
        self._open_from_s = 0.0

    def carry(self, way: int, size: int, fn: Callable[..., None], *args: Any) -> None:
        """Call `fn(*args)` when `size` bytes have arrived at the other end of the direction `way`, 0 or 1."""
        at_s = self._env._now + self.delay_s()
        last_s = self._last_arrival_s[way]
        if self.bytes_per_s:
            at_s = max(at_s, last_s) + size / self.bytes_per_s
        elif at_s < last_s:
            at_s = last_s
        self._last_arrival_s[way] = at_s
        self._on_the_way[way].append((fn, args))
        heappush(self._queue, (at_s, NORMAL, next(self._eid), self._arrivals[way]))  # as loop.at does

    def _arrive(self, way: int) -> None:
        """Something is due: the oldest that is on the way arrives, so that no cut changes the order."""
        if self.is_cut:
            self._held[way] += 1
        elif self._env._now < self._open_from_s:
            self._loop.at(self._open_from_s, self._arrive, way)
        else:
            fn, args = self._on_the_way[way].popleft()
            fn(*args)

    def cut(self) -> None:
        """Hold back everything until `heal`."""
        self.is_cut = True

    def heal(self) -> None:
        """Let through what was held back, after the pause of a retransmission."""
        if not self.is_cut:
            return
        self.is_cut = False
        self._open_from_s = self._loop.env._now + self._random.uniform(*RETRANSMIT_S)
        for way, count in enumerate(self._held):
            for _ in range(count):
                self._loop.at(self._open_from_s, self._arrive, way)
        self._held = [0, 0]
