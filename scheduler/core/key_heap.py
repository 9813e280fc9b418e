"""A heap of the keys of a dict: it gives the least key, and an entry that leaves the dict is released at once.

A heap of the things themselves would keep what has ended behind whatever is still to come before it. A key that is no
longer in the dict stays until it comes to the top, or until there are too many of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, TypeVar

STALE_MAX = 100
"""Keys that may stay when they are no longer in the dict, beyond one for each that is."""

V = TypeVar("V")


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
