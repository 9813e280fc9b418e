"""Counts and bytes of all objects by type, strings and numbers included: a pass on demand, too slow for each reading.

The collector does not follow objects without references to others (str, bytes, int), so its list lacks them. This pass
reaches them through whatever refers to them. Instead of remembering which of them it has seen, it counts each one with
the share 1 / references for each reference that it meets. An object that several references lead to then counts once,
and one that native code refers to as well counts less than once.
"""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

TURN_S = 0.001
"""The pass stops for other work after this time; one container with very many entries can exceed it."""
OBJECTS_A_TURN = 20_000
"""Objects whose identity is noted before other work gets its turn."""
OBJECTS_MAX = 3_000_000
"""Largest number of followed objects; their identities take about 200 MB while the pass runs."""
_LOOK_AT_CLOCK = 64
_DEPTH_MAX = 8
"""Levels of containers that the collector does not follow, such as a tuple of strings."""
_OURS = 3
"""References to an object that the pass itself has: a place in the list of referents, a variable, an argument."""


class TypeSize(msgspec.Struct):
    """All objects of one type. Their `bytes` are those of `sys.getsizeof`, without what they refer to."""

    count: int
    bytes: int


class Sizes(msgspec.Struct):
    """All objects that can be reached, by type; the types that take most bytes are named."""

    total_bytes: int
    types: dict[str, TypeSize]
    whole: bool
    """False when there were more than OBJECTS_MAX objects, so that the rest was not looked at."""


def type_name(kind: type) -> str:
    """Return the name of `kind` with its module; of a builtin type without."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def measure_sizes(types_max: int, seconds: Callable[[], float]) -> Iterator[Sizes | None]:
    """Yield None after each turn of about TURN_S, and the result as the last item; `seconds` is a fine clock.

    It starts at the objects that the collector has and at the modules: those lead to the objects that are frozen.
    """
    totals: dict[type, list[float]] = defaultdict(lambda: [0.0, 0.0])
    todo: list[Any] = [vars(module) for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
    seen: set[int] = set()
    todo += gc.get_objects()
    for start in range(0, len(todo), OBJECTS_A_TURN):
        seen.update(map(id, todo[start : start + OBJECTS_A_TURN]))
        yield None
    own = {id(totals), id(todo), id(seen)}
    seen |= own
    turn_end_s, looked = seconds() + TURN_S, 0
    while todo and len(seen) < OBJECTS_MAX:
        followed = todo.pop()
        if id(followed) in own:
            continue
        _add(totals, followed, 1.0)
        for one in gc.get_referents(followed):
            if gc.is_tracked(one):
                if id(one) not in seen:
                    seen.add(id(one))
                    todo.append(one)
            else:
                others = sys.getrefcount(one) - _OURS
                _add_plain(totals, one, 1.0 / others if others > 1 else 1.0, 0)
            looked += 1
            if looked % _LOOK_AT_CLOCK == 0 and seconds() > turn_end_s:
                yield None
                turn_end_s = seconds() + TURN_S
    yield _named(totals, types_max, whole=not todo)


def _add_plain(totals: dict[type, list[float]], thing: Any, share: float, depth: int) -> None:
    """Count a `share` of an object that the collector does not follow, and of what it refers to."""
    _add(totals, thing, share)
    if depth < _DEPTH_MAX and type(thing) not in _ATOMS:
        for inner in gc.get_referents(thing):
            if not gc.is_tracked(inner):
                others = sys.getrefcount(inner) - _OURS
                _add_plain(totals, inner, share / others if others > 1 else share, depth + 1)


_ATOMS = frozenset({str, bytes, bytearray, int, float, complex, bool, type(None)})


def _add(totals: dict[type, list[float]], thing: Any, share: float) -> None:
    try:
        size = sys.getsizeof(thing)
    except Exception:  # a __sizeof__ of somebody else, which may do anything
        size = 0
    total = totals[type(thing)]
    total[0] += share
    total[1] += share * size


def _named(totals: dict[type, list[float]], types_max: int, whole: bool) -> Sizes:
    by_name: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for kind, (count, size) in totals.items():
        total = by_name[type_name(kind)]
        total[0] += count
        total[1] += size
    largest = sorted(by_name.items(), key=lambda item: -item[1][1])[:types_max]
    types = {name: TypeSize(round(count), round(size)) for name, (count, size) in largest}
    return Sizes(round(sum(size for _, size in totals.values())), types, whole)
