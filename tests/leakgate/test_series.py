"""The series of a watch: bounded and evenly spaced; its columns for files and charts."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from tests.leakgate.readings import SOURCE, reading, series
from voxpool.leakgate.judging.judge import judge_memory
from voxpool.leakgate.readings.series import Series
from voxpool.leakgate.report.report import WatchReport, curves_of, report_of


def test_a_series_is_bounded_and_stays_evenly_spaced() -> None:
    made = Series(readings_max=64)
    for number in range(10_000):
        made.add(reading(number, counts={"table a": number}))
    assert 32 <= len(made.readings) < 64
    assert len({round(b.t_s - a.t_s, 6) for a, b in pairwise(made.readings)}) == 1
    assert all(one.counts for one in made.readings)
    assert made.first is not None and made.last is not None
    assert (made.first.t_s, made.last.t_s, made.taken) == (0.1, 9999.1, 10_000), "whatever was dropped"


def test_a_snapshot_does_not_change() -> None:
    made = series(1)
    taken = made.snapshot()
    made.add(reading(1))
    assert (len(taken.readings), taken.taken, len(made.readings), made.taken) == (1, 1, 2, 2)


def test_columns_have_null_for_unknown_values() -> None:
    columns = curves_of([reading(1, age_s=None), reading(2, allocated_bytes=None, held_bytes=None)])
    assert columns is not None and columns.allocated_bytes == [40_000_000, None] and columns.age_s == [None, 0.1]
    assert msgspec.json.decode(msgspec.json.encode(columns))["held_bytes"] == [45_000_000, None]
    assert curves_of([]) is None


def test_the_bytes_of_a_store_are_the_sum_of_its_families() -> None:
    counts = {"store bytes job": 3, "store bytes node": 4, "store keys job": 100}
    columns = curves_of([reading(1, counts=counts), reading(2)])
    assert columns is not None and columns.store_bytes == [7, None]


def test_a_report_is_written_and_read() -> None:

    made = series(counts={"table a": lambda n: 5 * n})
    made.missed = 3
    report = report_of(judge_memory(made, SOURCE), SOURCE, made)
    assert (report.taken, report.missed) == (120, 3)
    assert msgspec.json.decode(msgspec.json.encode(report), type=WatchReport) == report
