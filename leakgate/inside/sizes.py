"""Counts all objects and their bytes by type, strings and numbers included; on request only, because it is slow.

The collector does not track objects without references to others (str, bytes, int). This pass reaches them through
their referrers. It doesn't store which ones it has seen; it counts each one with the share 1 / references at each
reference. An object with several references then counts once, and one that native code also refers to counts less
than once.
"""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

TURN_S = 0.001
"""Length of a turn; one container with very many entries can exceed it."""
OBJECTS_A_TURN = 20_000
"""Objects whose identity is stored in one turn."""
OBJECTS_MAX = 3_000_000
"""Maximum number of tracked objects; their identities take about 200 MB during the pass."""
_LOOK_AT_CLOCK = 64
_DEPTH_MAX = 8
"""Maximum depth of untracked containers, such as a tuple of strings."""
_OURS = 3
"""References to an object from the pass itself: the list of referents, a variable, an argument."""


class TypeSize(msgspec.Struct):
    """All objects of one type. `bytes` is the sum of `sys.getsizeof`, without referenced objects."""

    count: int
    bytes: int


class Sizes(msgspec.Struct):
    """All reachable objects by type; the types with the most bytes are named."""

    total_bytes: int
    types: dict[str, TypeSize]
    whole: bool
    """False when there were more than OBJECTS_MAX objects, of which the rest was not counted."""


def type_name(kind: type) -> str:
    """Return the name of `kind` with its module; of a builtin type without."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def measure_sizes(types_max: int, seconds: Callable[[], float]) -> Iterator[Sizes | None]:
    """Yield None after each turn of about TURN_S, and the result as the last item; `seconds` is a precise clock.

    It starts at the tracked objects and at the modules, which lead to the frozen objects.
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
    """Count a `share` of an untracked object and of its referents."""
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
    except Exception:  # a foreign __sizeof__, which may raise anything
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
