"""Counts the entries of every container that given objects reference, fast enough for a busy server.

It reads attributes and lengths, never the entries of a container, so that its time does not depend on the load. A
bounded container (a deque with `maxlen`, a queue with `maxsize`, an `lru_cache`) is listed with its bound.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import queue
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import msgspec

OBJECTS_MAX = 1000
"""Maximum number of visited objects; a server has some dozens."""
SHARDS_MAX = 1024
_TABLES = (dict, list, deque, set)
_QUEUES = (asyncio.Queue, queue.Queue)
_CACHE = type(functools.lru_cache(lambda: None))
_SKIPPED = (asyncio.Future, msgspec.Struct, FunctionType)
"""Types that are not visited: tasks (of the loop), records (entries of tables), functions."""


class Tables(NamedTuple):
    """Containers by path, such as `core.node_registry.nodes`."""

    entries: dict[str, int]
    bounds: dict[str, int]
    """Maximum number of entries of bounded containers."""


def find_tables(roots: Mapping[str, Any], packages: Sequence[str] = ()) -> Tables:
    """Return the containers that `roots` (name -> object or module) reach through attributes.

    Only objects whose class is defined in one of `packages` are visited; without `packages`, all but those of the
    standard library. Roots are always visited, and so are the classes that a module among them defines. A list of
    dicts is one table in shards; a container with two paths is counted under the first one.
    """
    found = Tables({}, {})
    seen: set[int] = set()
    todo: deque[tuple[str, Any, bool]] = deque((name, thing, True) for name, thing in roots.items())
    while todo and len(seen) < OBJECTS_MAX:
        path, thing, is_root = todo.popleft()
        kind = type(thing)  # not isinstance: a proxy pretends the class of its target, and may fail to resolve it
        if issubclass(kind, _SKIPPED) or id(thing) in seen:
            continue
        if issubclass(kind, (*_TABLES, *_QUEUES, _CACHE)):
            seen.add(id(thing))
            found.entries[path], bound = _count(thing)
            if bound:
                found.bounds[path] = bound
        elif issubclass(kind, ModuleType):
            if is_root:
                seen.add(id(thing))
                todo.extend((f"{path}.{name}", value, _is_defined_in(value, thing)) for name, value in _globals(thing))
        elif issubclass(kind, type):
            if is_root:
                seen.add(id(thing))
                todo.extend((f"{path}.{name}", value, False) for name, value in _globals(thing))
        elif is_root or _is_ours(kind, packages):
            seen.add(id(thing))
            todo.extend((f"{path}.{name}", value, False) for name, value in attributes_of(thing))
    return found


def _count(table: Any) -> tuple[int, int]:
    """Return (entries, bound) of a container; 0 = no bound."""
    if isinstance(table, _QUEUES):
        return table.qsize(), max(0, table.maxsize)
    if isinstance(table, _CACHE):
        info = table.cache_info()
        return info.currsize, info.maxsize or 0
    if isinstance(table, deque):
        return len(table), table.maxlen or 0
    if isinstance(table, list) and table and len(table) <= SHARDS_MAX and all(isinstance(one, dict) for one in table):
        return sum(map(len, table)), 0
    return len(table), 0


def _is_ours(kind: type, packages: Sequence[str]) -> bool:
    module = kind.__module__
    if packages:
        return any(module == name or module.startswith(f"{name}.") for name in packages)
    return kind is SimpleNamespace or module.partition(".")[0] not in sys.stdlib_module_names


def _is_defined_in(thing: Any, module: ModuleType) -> bool:
    return isinstance(thing, type) and thing.__module__ == module.__name__


def _globals(holder: ModuleType | type) -> Iterable[tuple[str, Any]]:
    return [(name, value) for name, value in vars(holder).items() if not name.startswith("__")]


def attributes_of(thing: Any) -> Iterable[tuple[str, Any]]:
    """Yield the attributes of an object, slots included, without calling code of the object."""
    own = _named_by_its_class(thing)
    if own is None:
        try:
            own = object.__getattribute__(thing, "__dict__")
        except AttributeError:
            own = {}
    yield from own.items()
    if len(own) == 1 and hasattr(
        type(thing), "__getattr__"
    ):  # a bag, such as Starlette's State: one dict of attributes
        (bag,) = own.values()
        if type(bag) is dict:
            yield from ((str(name), value) for name, value in bag.items())
    for kind in type(thing).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            try:
                yield name, object.__getattribute__(thing, name)
            except AttributeError:
                continue  # never set, or a private name that the class has mangled


def _named_by_its_class(thing: Any) -> dict[str, Any] | None:
    """Return the attributes whose names are in the code of the class; None when the object has others.

    Reading __dict__ moves the attributes out of the object for ever, and CPython 3.11 and 3.12 then look each of them
    up without their caches: a scheduler that was looked at once would need a tenth more time a job from then on.
    """
    kind = type(thing)
    named: dict[int, list[str]] = {}
    for name in _names_in_code(kind):
        try:
            value = object.__getattribute__(thing, name)
        except AttributeError:
            continue
        named.setdefault(id(value), []).append(name)
    held = [value for value in gc.get_referents(thing) if value is not kind]  # in the order of __dict__
    if any(id(value) not in named for value in held):
        return None
    return {name: value for value in held for name in named[id(value)]}


def _names_in_code(kind: type) -> list[str]:
    """Return the names in the methods of a class that can be attributes of its objects: no methods, no properties."""
    attributes = [each for base in kind.__mro__ for each in base.__dict__.items()]
    names = [name for _, value in attributes if type(value) is FunctionType for name in value.__code__.co_names]
    of_the_class = {name for name, value in attributes if hasattr(type(value), "__get__")}
    return [name for name in dict.fromkeys(names) if name not in of_the_class]
