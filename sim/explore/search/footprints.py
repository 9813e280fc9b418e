"""Records the accesses of a step: each attribute of the core's objects is watched.

A watched object gets a class with the same layout that records reads and writes. Reading a container attribute counts
as a write, because its use is not visible; the few containers where this would make all steps dependent are replaced
by ones that record single keys. No access is missed, and some are recorded too coarsely: an additional key costs time,
a missing one would be wrong.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from voxpool.sim.explore.model.execution import READ, WRITE, Footprint

_MUTABLE = (list, dict, deque, set, asyncio.Future)


class Footprints:
    """Records one step at a time. One object is used for all runs of a search, with `forget` between runs."""

    def __init__(self) -> None:
        self.is_on = False
        self._touched: set[tuple[str, str]] = set()
        self._names: dict[int, str] = {}
        self._watched: list[Any] = []
        self._classes: dict[type, type] = {}

    # ---- one step

    def read(self, key: str) -> None:
        """Record a read of `key`."""
        self._touched.add((READ, key))

    def write(self, key: str) -> None:
        """Record a possible write of `key`."""
        self._touched.add((WRITE, key))

    def begin(self) -> None:
        """Drop earlier records."""
        self._touched.clear()

    def taken(self) -> Footprint:
        """Return the accesses since `begin`."""
        written = {key for mode, key in self._touched if mode == WRITE}
        return frozenset(item for item in self._touched if item[0] == WRITE or item[1] not in written)

    # ---- one run

    def watch(self, thing: Any, name: str) -> None:
        """Record accesses to the attributes of `thing` from now on, under `name`."""
        kind = type(thing)
        watching = self._classes.get(kind)
        if watching is None:
            if kind in self._classes.values():
                return
            watching = self._classes[kind] = self._watching(kind)
        self._names[id(thing)] = name
        self._watched.append(thing)  # keeps its id unique
        thing.__class__ = watching

    def forget(self) -> None:
        """Stop watching all objects."""
        self._names.clear()
        self._watched.clear()
        self._touched.clear()
        self.is_on = False

    def _watching(self, kind: type) -> type:
        names, touched = self._names, self._touched
        ordinary: Any = object.__getattribute__
        change: Any = kind.__setattr__
        is_data = _fields(kind).__contains__

        def get(thing: Any, name: str) -> Any:
            value = ordinary(thing, name)
            if is_data(name):
                mode = WRITE if isinstance(value, _MUTABLE) and not isinstance(value, NotedDict) else READ
                touched.add((mode, f"{names[id(thing)]}.{name}"))
            return value

        def put(thing: Any, name: str, value: Any) -> None:
            touched.add((WRITE, f"{names[id(thing)]}.{name}"))
            change(thing, name, value)

        body: dict[str, Any] = {"__getattribute__": get, "__setattr__": put}
        if issubclass(kind, msgspec.Struct):
            config: Any = kind.__struct_config__
            return msgspec.StructMeta(f"Watched{kind.__name__}", (kind,), body, gc=config.gc, eq=config.eq)
        if not hasattr(kind, "__dict__") or "__slots__" in kind.__dict__:
            body["__slots__"] = ()
        return type(f"Watched{kind.__name__}", (kind,), body)


class _AnyOf:
    """A set of all names except those of the class: the data of an object with a __dict__."""

    def __init__(self, kind: type) -> None:
        self._of_class = frozenset(dir(kind))

    def __contains__(self, name: str) -> bool:
        return name not in self._of_class


def _fields(kind: type) -> Any:
    """Return the container of the names of an instance's data."""
    if issubclass(kind, msgspec.Struct):
        return frozenset(kind.__struct_fields__)
    if all("__slots__" in base.__dict__ for base in kind.__mro__[:-1]):
        return frozenset(name for base in kind.__mro__[:-1] for name in base.__dict__["__slots__"])
    return _AnyOf(kind)


class NotedDict(dict[str, Any]):
    """A dict that records each key that is read or changed, and accesses to the whole dict."""

    def __init__(
        self, footprints: Footprints, name: str, content: dict[str, Any], adopt: Callable[[Any], None] | None = None
    ) -> None:
        super().__init__(content)
        self._footprints = footprints
        self._name = name
        self._adopt = adopt

    def _read(self, key: object) -> None:
        self._footprints.read(f"{self._name}[{key}]")

    def _write(self, key: object) -> None:
        self._footprints.write(f"{self._name}[{key}]")
        self._footprints.write(f"{self._name}.all")

    def _all(self) -> None:
        self._footprints.read(f"{self._name}.all")

    def __getitem__(self, key: str) -> Any:
        self._read(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._read(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._read(key)
        return super().__contains__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._write(key)
        if self._adopt is not None:
            self._adopt(value)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._write(key)
        super().__delitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        self._write(key)
        return super().pop(key, *default)

    def clear(self) -> None:
        raise NotImplementedError("nothing in the core clears such a dict")

    def setdefault(self, key: str, default: Any = None) -> Any:
        raise NotImplementedError("nothing in the core uses it on such a dict")

    def update(self, *others: Any, **more: Any) -> None:
        raise NotImplementedError("nothing in the core uses it on such a dict")

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def keys(self) -> Any:
        self._all()
        return super().keys()

    def values(self) -> Any:
        self._all()
        return super().values()

    def items(self) -> Any:
        self._all()
        return super().items()


class Shards(tuple[NotedDict, ...]):
    """Replaces the list of dicts of a sharded table: each index returns the one dict that records accesses."""

    __slots__ = ()

    def __new__(cls, whole: NotedDict, count: int) -> Shards:
        return super().__new__(cls, (whole,) * count)


def merged(shards: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of all `shards` in one dict."""
    whole: dict[str, Any] = {}
    for shard in shards:
        if shard:
            whole.update(shard)
    return whole
