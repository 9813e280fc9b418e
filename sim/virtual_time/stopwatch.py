"""Real time, for one purpose: to say how long a run took."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from its making."""

    def __init__(self) -> None:
        self._start_s = time.perf_counter()
        self._start_cpu_s = time.process_time()

    def seconds(self) -> float:
        """Return the real seconds since the start."""
        return time.perf_counter() - self._start_s

    def cpu_seconds(self) -> float:
        """Return the seconds of processor time that this process took since the start."""
        return time.process_time() - self._start_cpu_s
