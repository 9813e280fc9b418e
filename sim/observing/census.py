"""Counts the entries of every container that the objects of a scheduler reference, whatever their names.

A container that leaks entries is found without a list of containers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from voxpool.leakgate.inside.tables import attributes_of
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.seams import Observer

_PLAIN = (str, bytes, bytearray, int, float, bool, type(None), type)
_SKIPPED = (asyncio.Future, msgspec.Struct, Observer)
"""Not followed: tasks and their state (of the loop), records (the entries of containers), observers (not the core)."""


def entries(core: Core) -> dict[str, int]:
    """Return path -> entries of each container of `core` that isn't empty, such as `node_registry.nodes`."""
    counts: dict[str, int] = {}
    seen: set[int] = set()
    todo: deque[tuple[str, Any]] = deque([("", core)])
    while todo:
        path, thing = todo.popleft()
        if id(thing) in seen or isinstance(thing, (*_PLAIN, *_SKIPPED)):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | tuple | deque | set | frozenset):
            inner: Iterable[Any] = thing.values() if isinstance(thing, dict) else thing
            if thing and not _is_of_containers(thing):
                counts[path] = counts.get(path, 0) + len(thing)
            todo.extend((path, item) for item in inner)
        elif any(kind.__module__.startswith("voxpool.scheduler.core.") for kind in type(thing).__mro__):
            todo.extend((f"{path}.{name}".lstrip("."), value) for name, value in attributes_of(thing))
    return counts


def _is_of_containers(thing: Iterable[Any]) -> bool:
    """True for shards: a fixed list of dicts, whose length is constant."""
    return isinstance(thing, list | tuple | deque) and all(isinstance(item, dict | list | tuple) for item in thing)
