"""Aggregates the counts of the generator's processes: operations, failures and windows of time.

It is bounded: a run of any length has at most WINDOWS_MAX windows (above that, two become one). Latencies are known
within 0.8 % in a window and 0.1 % in the totals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._tally import DIGITS, OPERATIONS_MAX, OTHER, REASONS_MAX, WINDOW_S, Cell, Key
from voxpool.loadtest.report._records import ErrorCount, Operation, Window, WindowOperation, spread_of

WINDOWS_MAX = 360
"""Half an hour in windows of 5 s, a day in windows of 5 minutes and 20 s."""
WINDOW_DIGITS = 2


class Latencies:
    """Sums the results of `Tally.take` of all processes, in any order."""

    def __init__(self, windows_max: int = WINDOWS_MAX) -> None:
        self._windows_max = windows_max
        self._stride = 1
        """Number of a tally's windows in one window here."""
        self._totals: dict[Key, Cell] = {}
        self._windows: dict[int, dict[Key, Cell]] = {}
        self._users: dict[int, int] = {}
        self._errors: dict[tuple[Key, str], ErrorCount] = {}

    def absorb(self, taken: Mapping[str, Any]) -> None:
        """Add the counts of a process since its last message."""
        for window, kind, name, requests, failures, packed in taken["cells"]:
            self._add((kind, name), window, requests, failures, Histogram.unpacked(packed))
        for kind, name, reason, count, first_s, last_s in taken["errors"]:
            self._failed((kind, name), reason, int(count), first_s, last_s)

    def users(self, at_s: float, count: int) -> None:
        """Record the current number of users; a window keeps the last one."""
        index = int(max(0.0, at_s) / WINDOW_S)
        self._make_room(index)
        self._users[index // self._stride] = count

    @property
    def users_max(self) -> int:
        """The maximum number of users at the end of a window."""
        return max(self._users.values(), default=0)

    @property
    def requests(self) -> int:
        """Number of requests that ended."""
        return sum(cell.requests for cell in self._totals.values())

    def operations(self, duration_s: float) -> list[Operation]:
        """Return the totals by operation, for a run of `duration_s`."""
        return [
            Operation(
                type=kind,
                name=name,
                requests=cell.requests,
                failures=cell.failures,
                rate_per_s=round(cell.requests / duration_s, 3) if duration_s > 0 else 0.0,
                latency_s=spread_of(cell.histogram),
                histogram=cell.histogram.packed(),
            )
            for (kind, name), cell in sorted(self._totals.items())
        ]

    def errors(self) -> list[ErrorCount]:
        """Return the failures by reason, the most frequent first."""
        return sorted(self._errors.values(), key=lambda error: (-error.count, error.type, error.name, error.reason))

    def windows(self, duration_s: float) -> list[Window]:
        """Return the windows in order, including those without requests, for a run of `duration_s`."""
        length_s = WINDOW_S * self._stride
        last = max([*self._windows, *self._users], default=-1)
        found = []
        users = 0
        for index in range(last + 1):
            users = self._users.get(index, users)
            cells = self._windows.get(index, {})
            window = Window(
                start_s=index * length_s,
                length_s=length_s,
                users=users,
                is_whole=(index + 1) * length_s <= duration_s,
                operations={f"{kind} {name}": _in_window(cell) for (kind, name), cell in sorted(cells.items())},
            )
            found.append(window)
        return found

    def _add(self, key: Key, index: int, requests: int, failures: int, histogram: Histogram) -> None:
        if key not in self._totals and len(self._totals) >= OPERATIONS_MAX:
            key = (OTHER, OTHER)
        self._make_room(index)
        coarse = histogram.coarser(WINDOW_DIGITS)
        window = self._windows.setdefault(index // self._stride, {})
        for cells, digits, latencies in ((self._totals, DIGITS, histogram), (window, WINDOW_DIGITS, coarse)):
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell(digits)
            cell.requests += requests
            cell.failures += failures
            cell.histogram.add(latencies)

    def _make_room(self, index: int) -> None:
        """Make windows twice as long until `index` is one of the first `windows_max`."""
        while index // self._stride >= self._windows_max:
            self._stride *= 2
            windows, self._windows = self._windows, {}
            for old, cells in windows.items():
                self._join(self._windows.setdefault(old // 2, {}), cells)
            # In order, so that the last of two is kept.
            self._users = {old // 2: count for old, count in sorted(self._users.items())}

    def _join(self, into: dict[Key, Cell], cells: Mapping[Key, Cell]) -> None:
        for key, cell in cells.items():
            there = into.get(key)
            if there is None:
                into[key] = cell
            else:
                there.requests += cell.requests
                there.failures += cell.failures
                there.histogram.add(cell.histogram)

    def _failed(self, key: Key, reason: str, count: int, first_s: float, last_s: float) -> None:
        if (key, reason) not in self._errors and len(self._errors) >= REASONS_MAX:
            reason = OTHER
        old = self._errors.get((key, reason))
        if old is not None:
            count, first_s, last_s = count + old.count, min(first_s, old.first_s), max(last_s, old.last_s)
        self._errors[key, reason] = ErrorCount(*key, reason, count, round(first_s, 3), round(last_s, 3))


def _in_window(cell: Cell) -> WindowOperation:
    return WindowOperation(
        requests=cell.requests,
        failures=cell.failures,
        latency_s=spread_of(cell.histogram),
        histogram=cell.histogram.packed() if cell.histogram.total else [],
    )
