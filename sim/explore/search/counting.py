"""Counts the interleavings that a run represents: all orders of its steps in which dependent ones keep their order.

Sleep sets run at least one interleaving of each class that differs in the order of independent steps only. The sum over
all runs is therefore at least the number of interleavings of a search without them; it is larger only when a class was
run twice, because a step touches more in one state than in another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


def orders(touched: Sequence[T], opened_by: Sequence[int], are_independent: Callable[[T, T], bool]) -> int:
    """Return the number of orders of the steps of a run, given the accesses of each and the number of the step that
    opened it (-1: it was open from the start).
    """
    before: list[int] = []
    for i, later in enumerate(touched):
        mask = 0
        for j in range(i - 1, -1, -1):
            if not mask >> j & 1 and (j == opened_by[i] or not are_independent(touched[j], later)):
                mask |= 1 << j | before[j]
        before.append(mask)
    return _linear_extensions(tuple(before))


@lru_cache(maxsize=100_000)
def _linear_extensions(before: tuple[int, ...]) -> int:
    """Return the number of orders of all elements, when bit j of before[i] means that j comes before i."""
    level = {0: 1}
    for _ in before:
        following: dict[int, int] = {}
        for done, ways in level.items():
            for i, needs in enumerate(before):
                if not done >> i & 1 and needs & ~done == 0:
                    more = done | 1 << i
                    following[more] = following.get(more, 0) + ways
        level = following
    return level[(1 << len(before)) - 1]
