"""Latencies as counts: the buckets of HdrHistogram (Gil Tene), kept sparsely.

The width of a bucket is its value's power of two divided by a fixed number of parts, so that every value is known
within 0.8 % (two digits) or 0.1 % (three), from 1 us up to an hour; empty buckets take no memory. The reference
implementation allocates all buckets, 188 kB per histogram, which is too much for one per operation and window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from voxpool.scheduler.telemetry.spread import bin_of, range_of

HIGHEST_US = 3_600_000_000
"""An hour. Longer values count as this; all bounds of the service are much shorter."""


class Histogram:
    """Counts of latencies in us. `digits` (1 to 4) are the significant decimal digits that a value keeps."""

    __slots__ = ("_part_bits", "counts", "digits", "highest_us", "lowest_us", "total", "total_us")

    def __init__(self, digits: int = 3) -> None:
        if not 1 <= digits <= 4:
            raise ValueError(f"digits = {digits}: 1 to 4")
        self.digits = digits
        # A power of two of at least 10^digits parts an octave: 128 for two digits, 1,024 for three.
        self._part_bits = math.ceil(math.log2(10**digits))
        self.counts: dict[int, int] = {}
        self.total = 0
        self.total_us = 0
        """The exact sum, so that the mean is exact."""
        self.lowest_us = HIGHEST_US
        self.highest_us = 0

    def record(self, value_us: int, count: int = 1) -> None:
        """Count a latency; it is clipped to 0 .. HIGHEST_US."""
        value_us = min(max(0, value_us), HIGHEST_US)
        index = bin_of(value_us, self._part_bits)
        self.counts[index] = self.counts.get(index, 0) + count
        self.total += count
        self.total_us += value_us * count
        self.lowest_us = min(self.lowest_us, value_us)
        self.highest_us = max(self.highest_us, value_us)

    def add(self, other: Histogram) -> None:
        """Add the counts of `other`, which must have the same digits."""
        if other.digits != self.digits:
            raise ValueError(f"a histogram of {other.digits} digits can't be added to one of {self.digits}")
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.total += other.total
        self.total_us += other.total_us
        self.lowest_us = min(self.lowest_us, other.lowest_us)
        self.highest_us = max(self.highest_us, other.highest_us)

    def coarser(self, digits: int) -> Histogram:
        """Return the same with fewer digits; sum, lowest and highest stay exact."""
        found = Histogram(digits)
        for low, high, count in self.buckets():
            found.record((low + high) // 2, count)
        found.total_us, found.lowest_us, found.highest_us = self.total_us, self.lowest_us, self.highest_us
        return found

    def buckets(self) -> list[tuple[int, int, int]]:
        """Return (lowest value, highest value, count) of each non-empty bucket in rising order; values in us."""
        return [(*range_of(index, self._part_bits), self.counts[index]) for index in sorted(self.counts)]

    def mean_us(self) -> float:
        """Return the exact mean, nan when nothing was counted."""
        return self.total_us / self.total if self.total else math.nan

    def quantiles_us(self, shares: Sequence[float]) -> list[float]:
        """Return the quantile for each of `shares` (0 to 1, any order).

        It is the middle of its bucket, clipped to the lowest and highest value; nan when nothing was counted.
        """
        if not self.total:
            return [math.nan] * len(shares)
        found = dict.fromkeys(shares, float(self.highest_us))
        wanted = sorted(found)
        reached, place = 0, 0
        for low, high, count in self.buckets():
            reached += count
            while place < len(wanted) and reached >= max(1, math.ceil(wanted[place] * self.total)):
                found[wanted[place]] = min(max((low + high) / 2, self.lowest_us), self.highest_us)
                place += 1
        return [found[share] for share in shares]

    def packed(self) -> list[int]:
        """Return the histogram as a flat list of integers, for a message; `unpacked` reads it."""
        head = [self.digits, self.total_us, self.lowest_us, self.highest_us]
        return head + [number for index in sorted(self.counts) for number in (index, self.counts[index])]

    @classmethod
    def unpacked(cls, numbers: Sequence[int]) -> Histogram:
        """Return the histogram that `packed` wrote. Raises ValueError for an invalid list."""
        if len(numbers) < 4 or len(numbers) % 2:
            raise ValueError(f"{len(numbers)} numbers are not a histogram")
        found = cls(numbers[0])
        found.total_us, found.lowest_us, found.highest_us = numbers[1:4]
        found.counts = dict(zip(numbers[4::2], numbers[5::2], strict=True))
        found.total = sum(found.counts.values())
        return found

    @classmethod
    def merged(cls, histograms: Iterable[Histogram], digits: int) -> Histogram:
        """Return one histogram of all, which have `digits` each."""
        found = cls(digits)
        for histogram in histograms:
            found.add(histogram)
        return found
