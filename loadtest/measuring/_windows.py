"""Reads the windows of a report: one operation by its name, whatever carried it."""

from __future__ import annotations

from loadtest.measuring._histogram import Histogram
from loadtest.measuring._latencies import WINDOW_DIGITS
from loadtest.report._records import Window, WindowOperation


def operations_of(window: Window, name: str) -> list[WindowOperation]:
    """Return the operations called `name`: "WS result" is one, "result" is that of all clients."""
    return [
        operation
        for full_name, operation in window.operations.items()
        if full_name == name or (not full_name.startswith("NODE ") and full_name.partition(" ")[2] == name)
    ]


def requests_of(window: Window, name: str) -> tuple[int, int]:
    """Return how many requests ended, and how many of them failed."""
    operations = operations_of(window, name)
    return sum(one.requests for one in operations), sum(one.failures for one in operations)


def latencies_of(window: Window, name: str) -> Histogram:
    """Return the latencies of those that did not fail."""
    packed = (one.histogram for one in operations_of(window, name) if one.histogram)
    return Histogram.merged((Histogram.unpacked(numbers) for numbers in packed), WINDOW_DIGITS)
