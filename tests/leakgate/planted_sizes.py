"""Measures sizes before and after objects are made, and prints the growth of some types as JSON.

It is a process of its own: a measurement reads the whole process, and that of the tests has millions of objects.
"""

from __future__ import annotations

import gc
import time

import msgspec

from voxpool.leakgate.inside.sizes import Sizes, measure_sizes, type_name

STRINGS, PAIRS, MARKED, LISTS = 20_000, 3000, 2000, 1000


class Grown(msgspec.Struct):
    """Growth by type: (objects, bytes)."""

    strings: tuple[int, int]
    bytes_: tuple[int, int]
    marked: tuple[int, int]
    whole: bool
    pairs_are_tracked: bool


class Marked(bytes):
    """A type of bytes of its own."""

    __slots__ = ()


def holder() -> None:
    """A global object to hang a table on."""


def sizes() -> Sizes:
    *_, last = measure_sizes(100_000, time.perf_counter)
    assert last is not None
    return last


def grown() -> Grown:
    """Make the objects between two measurements."""
    table: list[Marked] = []
    holder.table = table  # type: ignore[attr-defined]
    gc.collect()
    before = sizes()
    gc.freeze()
    table.extend(Marked(900) for _ in range(MARKED))
    strings = [f"{number:05}" * 100 for number in range(STRINGS)]
    one = b"x" * 1_000_000
    many = [[one] for _ in range(LISTS)]
    pairs = [(b"y" * 700 + str(number).encode(), number) for number in range(PAIRS)]
    gc.collect()  # now the collector no longer tracks these tuples
    after = sizes()
    assert (len(strings), len(many)) == (STRINGS, LISTS)

    def of(name: str) -> tuple[int, int]:
        old, new = before.types.get(name), after.types[name]
        return new.count - (old.count if old else 0), new.bytes - (old.bytes if old else 0)

    return Grown(of("str"), of("bytes"), of(type_name(Marked)), after.whole, gc.is_tracked(pairs[7]))


if __name__ == "__main__":
    print(msgspec.json.encode(grown()).decode())
