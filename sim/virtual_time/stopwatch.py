"""Measures the real time of a run."""

from __future__ import annotations

import time


class Stopwatch:
    """A stopwatch that starts at its construction."""

    def __init__(self) -> None:
        self._start_s = time.perf_counter()
        self._start_cpu_s = time.process_time()

    def seconds(self) -> float:
        """Return the real seconds since the start."""
        return time.perf_counter() - self._start_s

    def cpu_seconds(self) -> float:
        """Return the seconds of processor time of this process since the start."""
        return time.process_time() - self._start_cpu_s
