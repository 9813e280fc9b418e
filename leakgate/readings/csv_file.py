"""A series of readings as a CSV file, written by a watch or by anything else.

The header names the columns, in any order: `t_s` (seconds, rising) and `work` (units finished, never falling), then
`rss_bytes`, `allocated_bytes` and `held_bytes` as far as they are known, at least one of the first two. Every other
column is a count. An empty cell is a value that could not be read.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from voxpool.leakgate.errors import WrongInput
from voxpool.leakgate.readings.series import Reading, Series

SIZES = ("rss_bytes", "allocated_bytes", "held_bytes")
COLUMNS = ("t_s", "work", *SIZES)
COLUMNS_MAX = 10_000
VALUE_MAX = 2**63 - 1


class Table(NamedTuple):
    """The content of a file."""

    series: Series
    names: list[str]
    """Names of its columns."""


def write_csv(series: Series, path: Path) -> None:
    """Write the readings of `series`."""
    names = sorted({name for one in series.readings for name in one.counts})
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*COLUMNS, *names])
        for one in series.readings:
            sizes = [getattr(one, name) for name in SIZES]
            rows.writerow([f"{one.t_s:.3f}", one.work, *sizes, *(_count(one, name) for name in names)])


def read_csv(path: Path) -> Table:
    """Return the table in a file. Raises WrongInput, which names the line, and OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            return _Parser(path, rows).table()
        except csv.Error as error:
            raise WrongInput(f"{path}:{rows.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise WrongInput(f"{path}: is no text in UTF-8") from error


class _Parser:
    def __init__(self, path: Path, rows: Iterable[list[str]]) -> None:
        self._path, self._rows = path, iter(rows)
        self._line = 1
        self._names = self._header()
        self._counts = [(place, name) for place, name in enumerate(self._names) if name not in COLUMNS]

    def table(self) -> Table:
        series = Series()
        for row in self._rows:
            self._line = getattr(self._rows, "line_num", self._line + 1)
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(self._names):
                self._fail(f"has {len(row)} cells, the header has {len(self._names)}")
            series.add(self._reading(row, series.last))
        if series.last is None:
            self._fail("has a header and no readings")
        return Table(series, self._names)

    def _header(self) -> list[str]:
        names = [name.strip() for name in next(self._rows, [])]
        if not names:
            self._fail("is empty: want a header such as t_s,work,rss_bytes")
        if len(names) > COLUMNS_MAX:
            self._fail(f"more than {COLUMNS_MAX:,} columns")
        missing = [name for name in ("t_s", "work") if name not in names]
        if missing:
            self._fail(f"the header has no {' and no '.join(missing)}; it has {', '.join(names)[:200]}")
        if not {"rss_bytes", "allocated_bytes"} & set(names):
            self._fail("the header has neither rss_bytes nor allocated_bytes: without sizes nothing can be judged")
        if "held_bytes" in names and "rss_bytes" not in names:
            self._fail("held_bytes needs rss_bytes beside it")
        if "" in names:
            self._fail("a column has no name")
        if twice := next((name for name in names if names.count(name) > 1), ""):
            self._fail(f"two columns are named {twice}")
        return names

    def _reading(self, row: Sequence[str], before: Reading | None) -> Reading:
        known = {name: row[place].strip() for place, name in enumerate(self._names) if name in COLUMNS}
        t_s, work = self._number("t_s", known["t_s"]), self._whole("work", known["work"])
        if before is not None and t_s <= before.t_s:
            self._fail(f"t_s: {t_s:g} comes after {before.t_s:g}: it must rise")
        if before is not None and work < before.work:
            self._fail(f"work: {work} comes after {before.work}: it may not fall (after a restart begin a new file)")
        sizes = {name: self._whole(name, known[name]) for name in SIZES if known.get(name)}
        if not {"rss_bytes", "allocated_bytes"} & sizes.keys():
            self._fail("has neither rss_bytes nor allocated_bytes: leave out a reading that failed")
        if "rss_bytes" in self._names and "rss_bytes" not in sizes:
            self._fail("rss_bytes: is empty: leave out a reading that failed")
        counts = {name: self._whole(name, row[place].strip()) for place, name in self._counts if row[place].strip()}
        empty = {name.split(" ", 1)[0] for place, name in self._counts if not row[place].strip()}
        return Reading(
            t_s=t_s,
            work=work,
            # Without a column of it the RSS is not judged (judge_command.py): the series needs a value.
            rss_bytes=sizes.get("rss_bytes", sizes.get("allocated_bytes", 0)),
            allocated_bytes=sizes.get("allocated_bytes"),
            held_bytes=sizes.get("held_bytes"),
            counts=counts,
            counts_are_whole="type" not in empty,
            unread=tuple(sorted(empty - {"type"})),
        )

    def _whole(self, name: str, text: str) -> int:
        return int(self._number(name, text))

    def _number(self, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self._fail(f"{name}: {text[:40]!r} is no number" if text else f"{name}: is empty")
        if not math.isfinite(value) or not 0 <= value <= VALUE_MAX:
            self._fail(f"{name}: {text[:40]} is not from 0 to {VALUE_MAX:.0e}")
        return value

    def _fail(self, text: str) -> NoReturn:
        raise WrongInput(f"{self._path}:{self._line}: {text}")


def _count(one: Reading, name: str) -> int | str:
    word = name.split(" ", 1)[0]
    is_known = word not in one.unread and (word != "type" or one.counts_are_whole)
    return one.counts.get(name, 0 if is_known else "")
