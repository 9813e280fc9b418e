"""The way between two machines: a delay, a bandwidth, and cuts that hold everything back until they heal."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxpool.sim.network.loop import NetworkLoop

RETRANSMIT_S = (0.2, 1.5)
"""A segment that a cut has held back arrives after the cut has healed and a pause between these bounds."""


class Link:
    """Both directions of the way between two machines. Each direction keeps its order, as TCP does.

    `delay_s` returns the delay of a segment in seconds; `bytes_per_s` 0 is an unlimited bandwidth.
    """

    def __init__(self, loop: NetworkLoop, random: Random, delay_s: Callable[[], float]) -> None:
        self._loop, self._random = loop, random
        self.delay_s = delay_s
        self.bytes_per_s = 0.0
        self.is_cut = False
        self._last_arrival_s = [0.0, 0.0]
        self._held: list[tuple[int, Callable[..., None], tuple[Any, ...]]] = []

    def carry(self, way: int, size: int, fn: Callable[..., None], *args: Any) -> None:
        """Call `fn(*args)` when `size` bytes have arrived at the other end of the direction `way`, 0 or 1."""
        at_s = self._loop.env._now + self.delay_s()
        last_s = self._last_arrival_s[way]
        if self.bytes_per_s:
            at_s = max(at_s, last_s) + size / self.bytes_per_s
        elif at_s < last_s:
            at_s = last_s
        self._last_arrival_s[way] = at_s
        self._loop.at(at_s, self._arrive, way, fn, args)

    def _arrive(self, way: int, fn: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.is_cut:
            self._held.append((way, fn, args))
        else:
            fn(*args)

    def cut(self) -> None:
        """Hold back everything until `heal`."""
        self.is_cut = True

    def heal(self) -> None:
        """Let through what was held back, after the pause of a retransmission."""
        if not self.is_cut:
            return
        self.is_cut = False
        again_s = self._loop.env._now + self._random.uniform(*RETRANSMIT_S)
        held, self._held = self._held, []
        for way, fn, args in held:
            self._last_arrival_s[way] = max(self._last_arrival_s[way], again_s)
            self._loop.at(self._last_arrival_s[way], self._arrive, way, fn, args)
