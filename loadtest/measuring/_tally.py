"""Counts the requests of one process of the load generator until they are aggregated.

A worker sends the counts to its master every few seconds: `take` returns plain lists and dicts for Locust's messages,
and `_latencies.py` aggregates them. Nothing here waits or reads a clock.
"""

from __future__ import annotations

from typing import Any

from voxpool.loadtest.measuring._histogram import Histogram

WINDOW_S = 5.0
"""Length of a window of time; requests are counted by window."""
DIGITS = 3
OPERATIONS_MAX = 64
"""Maximum number of operations; further ones count as OTHER, so that names with ids can't fill the memory."""
REASONS_MAX = 200
"""Maximum number of reasons of failures; further ones count as OTHER."""
REASON_CHARACTERS_MAX = 80
OTHER = "other"

Key = tuple[str, str]
"""Type and name of an operation."""


class Cell:
    """One operation in one window."""

    __slots__ = ("failures", "histogram", "requests")

    def __init__(self, digits: int = DIGITS) -> None:
        self.requests = 0
        self.failures = 0
        self.histogram = Histogram(digits)


class Tally:
    """Counts requests. `at_s` is the time of a run, from its start."""

    def __init__(self) -> None:
        self._known: set[Key] = set()
        self._cells: dict[tuple[int, Key], Cell] = {}
        self._errors: dict[tuple[Key, str], list[float]] = {}
        self._reasons: set[tuple[Key, str]] = set()

    def request(self, at_s: float, kind: str, name: str, latency_s: float, reason: str = "") -> None:
        """Count a request that ended at `at_s`; with a `reason` it failed, and its latency does not count."""
        key = self._operation(kind, name)
        place = (int(max(0.0, at_s) / WINDOW_S), key)
        cell = self._cells.get(place)
        if cell is None:
            cell = self._cells[place] = Cell()
        cell.requests += 1
        if reason:
            cell.failures += 1
            self._failed(at_s, key, reason)
        else:
            cell.histogram.record(round(latency_s * 1e6))

    def take(self) -> dict[str, Any]:
        """Return the counts since the last call, for `Latencies.absorb`."""
        taken: dict[str, Any] = {
            "cells": [
                [window, *key, cell.requests, cell.failures, cell.histogram.packed()]
                for (window, key), cell in self._cells.items()
            ],
            "errors": [[*key, reason, *numbers] for (key, reason), numbers in self._errors.items()],
        }
        self._cells = {}
        self._errors = {}
        return taken

    def _operation(self, kind: str, name: str) -> Key:
        key = (kind, name)
        if key not in self._known:
            if len(self._known) >= OPERATIONS_MAX:
                return (OTHER, OTHER)
            self._known.add(key)
        return key

    def _failed(self, at_s: float, key: Key, reason: str) -> None:
        place = (key, reason[:REASON_CHARACTERS_MAX])
        if place not in self._reasons:
            if len(self._reasons) >= REASONS_MAX:
                place = (key, OTHER)
            self._reasons.add(place)
        numbers = self._errors.setdefault(place, [0, at_s, at_s])
        numbers[0] += 1
        numbers[1] = min(numbers[1], at_s)
        numbers[2] = max(numbers[2], at_s)
