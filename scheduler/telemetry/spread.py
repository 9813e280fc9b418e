"""How milliseconds spread: counts in bins that get wider with the value, so that quantiles cost little memory. Pure.

A bin is at most 1/16 of its value wide, and below 32 ms exact: as exact as a chart can show.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

PART_BITS = 4


def bin_of(value: int, part_bits: int = PART_BITS) -> int:
    """Return the number of the bin that holds `value`; below 0 counts as 0. An octave has 2^part_bits bins."""
    value = max(0, value)
    shift = max(0, value.bit_length() - part_bits - 1)
    return (shift << part_bits) + (value >> shift)


def range_of(number: int, part_bits: int = PART_BITS) -> tuple[int, int]:
    """Return the lowest and the highest value of that bin."""
    shift = max(0, (number >> part_bits) - 1)
    low = (number - (shift << part_bits)) << shift
    return low, low + (1 << shift) - 1


def middle_of(number: int) -> float:
    """Return the milliseconds in the middle of that bin, up to the beginning of the next one."""
    low, high = range_of(number)
    return float(low) if low == high else (low + high + 1) / 2


def is_shared(number: float) -> bool:
    """True for a small number that CPython shares, so that it takes no memory of its own."""
    return isinstance(number, int) and -5 <= number <= 256


class Spread:
    """Counts of values by their bins; can be added to and taken from, so that a window slides at little cost."""

    __slots__ = ("bins", "count")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        self.count = 0

    def note(self, value_ms: int) -> None:
        """Count one value."""
        if value_ms < 32:  # bin_of, without the call: this is done for each job
            number = value_ms if value_ms > 0 else 0
        else:
            shift = value_ms.bit_length() - 5
            number = 16 * shift + (value_ms >> shift)
        bins = self.bins
        bins[number] = bins.get(number, 0) + 1
        self.count += 1

    def add(self, other: Spread) -> None:
        """Count all of `other`."""
        bins = self.bins
        get = bins.get
        for number, count in other.bins.items():
            bins[number] = get(number, 0) + count
        self.count += other.count

    def take(self, other: Spread) -> None:
        """Take out all of `other`, which was added before."""
        for number, count in other.bins.items():
            left = self.bins[number] - count
            if left:
                self.bins[number] = left
            else:
                del self.bins[number]
        self.count -= other.count

    def size_bytes(self) -> int:
        """Return its memory."""
        kept = (number for number in (*self.bins, *self.bins.values()) if not is_shared(number))
        numbers = sum(map(sys.getsizeof, kept))
        return sys.getsizeof(self) + sys.getsizeof(self.bins) + sys.getsizeof(self.count) + numbers

    def quantiles(self, shares: Sequence[float]) -> list[float] | None:
        """Return the value below which each of `shares` (ascending, 0 to 1) lies, or None when nothing was counted."""
        if not self.count:
            return None
        found: list[float] = []
        bins = self.bins
        passed = 0
        wanted = [share * self.count for share in shares]
        for number in sorted(bins):
            passed += bins[number]
            while passed >= wanted[len(found)]:
                found.append(middle_of(number))
                if len(found) == len(wanted):
                    return found
        raise AssertionError(self.count)  # the counts of the bins sum up to it
