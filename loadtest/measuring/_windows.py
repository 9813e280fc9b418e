"""Reads the counts of a report: operations by name, and the number of failed jobs.

The share of failures is defined here: of the ended jobs of all clients, those whose client did not get the right
result. A refused or lost submit is such an end; lost connections, polls and nodes are OTHERS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._latencies import WINDOW_DIGITS
from voxpool.loadtest.report._records import Window, WindowOperation

NOT_OF_CLIENTS = ("NODE ", "KEY ")
"""Begins of operations that are not requests of clients: those of nodes, and the ends of the jobs of each key, which
count with their requests already.
"""
RESULT, SUBMIT, UTTERANCE = "result", "submit", "utterance"
OTHERS = "others"
"""All requests that are not an end of a job: connections, polls, cancels, and those of nodes."""


class Counted(Protocol):
    """The counts of an operation, of a run or of a window."""

    @property
    def requests(self) -> int:
        """Number of operations that ended, failures included."""

    @property
    def failures(self) -> int:
        """Number of failures among them."""

    @property
    def histogram(self) -> list[int]:
        """Histogram of the latencies of the successful ones, packed."""


C = TypeVar("C", bound=Counted)


def operations_of(operations: Mapping[str, C], name: str) -> list[C]:
    """Return the operations called `name`: "WS result" is one operation, "result" those of all clients."""
    return [
        operation
        for full_name, operation in operations.items()
        if full_name == name or (not full_name.startswith(NOT_OF_CLIENTS) and operation_in(full_name) == name)
    ]


def operation_in(full_name: str) -> str:
    """Return the operation without the type of its requests."""
    return full_name.partition(" ")[2] or full_name


def requests_of(window: Window, name: str) -> tuple[int, int]:
    """Return the number of ended and of failed requests."""
    operations = operations_of(window.operations, name)
    return sum(one.requests for one in operations), sum(one.failures for one in operations)


def ended_of(operations: Mapping[str, Counted], name: str = RESULT) -> tuple[int, int]:
    """Return the number of ended and of failed results, requests of an operation, or OTHERS.

    A job whose submit failed counts as a failed result.
    """
    if name == OTHERS:
        found = [
            one
            for full, one in operations.items()
            if full.startswith("NODE ") or not (full.startswith("KEY ") or _tells_of_jobs(full))
        ]
        return _sums(found)
    ended, failed = _sums(operations_of(operations, name))
    if operation_in(name) == RESULT and not name.startswith("KEY "):
        _, not_taken = _sums(operations_of(operations, name.removesuffix(RESULT) + SUBMIT))
        return ended + not_taken, failed + not_taken
    return ended, failed


def latencies_of(window: Window, name: str) -> Histogram:
    """Return the latencies of successful requests."""
    return merged(operations_of(window.operations, name), WINDOW_DIGITS)


def merged(operations: Iterable[Counted], digits: int) -> Histogram:
    """Return the latencies of `operations`, whose histograms have `digits` significant digits."""
    return Histogram.merged((Histogram.unpacked(one.histogram) for one in operations if one.histogram), digits)


def joined(windows: Iterable[Window]) -> dict[str, WindowOperation]:
    """Return the operations of all `windows` together, by "TYPE name"."""
    parts: dict[str, list[WindowOperation]] = {}
    for window in windows:
        for name, operation in window.operations.items():
            parts.setdefault(name, []).append(operation)
    return {
        name: WindowOperation(requests=requests, failures=failures, histogram=merged(found, WINDOW_DIGITS).packed())
        for name, found in parts.items()
        for requests, failures in [_sums(found)]
    }


def _tells_of_jobs(full_name: str) -> bool:
    return operation_in(full_name) in (RESULT, SUBMIT, UTTERANCE)


def _sums(operations: Iterable[Counted]) -> tuple[int, int]:
    found = list(operations)
    return sum(one.requests for one in found), sum(one.failures for one in found)
