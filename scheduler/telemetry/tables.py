"""How full every container of some objects is, whatever it is called: cheap enough to ask a scheduler that works.

It looks at attributes and lengths, never at what a container holds, so that it takes the same time at any load.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

OBJECTS_MAX = 1000
"""Objects that are looked at; a scheduler has about 40."""
SHARDS_MAX = 1024
_TABLES = (dict, list, deque, set)
_SKIPPED = (asyncio.Future, msgspec.Struct)
"""Tasks belong to the loop; records are what tables hold."""


def table_sizes(roots: Mapping[str, Any]) -> dict[str, int]:
    """Return path -> entries of each container that `roots` reach through objects of ours, such as `core.fleet.nodes`.

    A list of dicts is one table in shards; what stands under two names is counted under the first.
    """
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    todo: deque[tuple[str, Any]] = deque(roots.items())
    while todo and len(seen) < OBJECTS_MAX:
        path, thing = todo.popleft()
        if isinstance(thing, _SKIPPED) or id(thing) in seen:
            continue
        if isinstance(thing, _TABLES):
            seen.add(id(thing))
            sizes[path] = _entries(thing)
        elif _is_ours(thing):
            seen.add(id(thing))
            todo.extend((f"{path}.{name}", value) for name, value in _attributes(thing))
    return sizes


def _entries(table: dict[Any, Any] | list[Any] | deque[Any] | set[Any]) -> int:
    if isinstance(table, list) and table and len(table) <= SHARDS_MAX and all(isinstance(one, dict) for one in table):
        return sum(map(len, table))
    return len(table)


def _is_ours(thing: Any) -> bool:
    return not isinstance(thing, type) and type(thing).__module__.startswith("scheduler.")


def _attributes(thing: Any) -> Iterable[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        names = getattr(kind, "__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if hasattr(thing, name):
                yield name, getattr(thing, name)
