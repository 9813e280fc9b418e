"""The report of a watch of one process: its finding, and the readings as columns for files and charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.readings.series import Reading, Series, Source


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """Readings as columns of equal length."""

    t_s: list[float]
    age_s: list[float | None]
    work: list[int]
    rss_bytes: list[int]
    allocated_bytes: list[int | None]
    held_bytes: list[int | None]
    store_bytes: list[int | None]
    """Bytes of the store: the sum of the counts named "store bytes …"."""
    kept: list[int | None]
    in_flight: list[int | None]
    objects: list[int | None]


class WatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a process's memory during a watch."""

    finding: MemoryFinding
    source: Source = Source()
    curves: Curves | None = None
    """None when nothing was read."""
    first: Reading | None = None
    last: Reading | None = None
    """The first and the last reading, with all their counts."""
    taken: int = 0
    """Readings that did not fail."""
    missed: int = 0
    """Readings that failed."""


def report_of(finding: MemoryFinding, source: Source, series: Series) -> WatchReport:
    """Return the report on `series`."""
    return WatchReport(
        finding=finding,
        source=source,
        curves=curves_of(series.readings),
        first=series.first,
        last=series.last,
        taken=series.taken,
        missed=series.missed,
    )


def curves_of(readings: Sequence[Reading]) -> Curves | None:
    """Return `readings` as columns; None when there are none."""
    if not readings:
        return None

    def column(get: Callable[[Reading], Any]) -> list[Any]:
        return [get(one) for one in readings]

    return Curves(
        t_s=column(lambda one: round(one.t_s, 3)),
        age_s=column(lambda one: None if one.age_s is None else round(one.age_s, 3)),
        work=column(lambda one: one.work),
        rss_bytes=column(lambda one: one.rss_bytes),
        allocated_bytes=column(lambda one: one.allocated_bytes),
        held_bytes=column(lambda one: one.held_bytes),
        store_bytes=column(_store_bytes),
        kept=column(lambda one: one.kept),
        in_flight=column(lambda one: one.in_flight),
        objects=column(lambda one: one.objects),
    )


def _store_bytes(reading: Reading) -> int | None:
    sizes = [size for name, size in reading.counts.items() if name.startswith("store bytes ")]
    return sum(sizes) if sizes else None
