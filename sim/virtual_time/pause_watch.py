"""Measures how long code blocks the loop, as CPU time of its thread, so that other processes don't count.

Kernel time of the code, such as page faults, counts.
"""

from __future__ import annotations

import gc
import time
from typing import Any

now_ns = time.thread_time_ns
"""The CPU time of this thread, in ns."""


class CollectorWatch:
    """Records the pauses of the garbage collector in a `with` block; its settings are unchanged."""

    def __init__(self) -> None:
        self.longest_ns = 0
        self.total_ns = 0
        self.runs = 0
        self._began_ns = 0

    @property
    def longest_ms(self) -> float:
        """The longest run of the collector, in ms."""
        return self.longest_ns / 1e6

    def __enter__(self) -> CollectorWatch:
        gc.callbacks.append(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._heard)

    def _heard(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = now_ns()
            return
        took_ns = now_ns() - self._began_ns
        self.total_ns += took_ns
        self.runs += 1
        if took_ns > self.longest_ns:
            self.longest_ns = took_ns


class PauseWatch:
    """Records the pauses of one kind of work, without the pauses of the collector in it."""

    def __init__(self, collector: CollectorWatch) -> None:
        self.pauses_ns: list[int] = []
        """The pause of each `with` block."""
        self._collector = collector
        self._began_ns = 0
        self._collector_ns = 0

    def __enter__(self) -> None:
        self._collector_ns = self._collector.total_ns
        self._began_ns = now_ns()

    def __exit__(self, *_: object) -> None:
        self.pauses_ns.append(now_ns() - self._began_ns - (self._collector.total_ns - self._collector_ns))
