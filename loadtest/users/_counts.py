"""Counts of one process's users in addition to their requests: arrivals, answered attempts, and rare events.

Pure: it is cleared at each test, and reports the totals of the test.
"""

from __future__ import annotations

from voxpool.loadtest.measuring._generator import Readings
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._process_report import ProcessReport
from voxpool.loadtest.measuring._tally import DIGITS


class Counts:
    """The counts of one process. The number of its users bounds the entries."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Reset all counts for a new test."""
        self.due = self.sent = self.late = self.dropped_ = 0
        self._lag = Histogram(DIGITS)
        self._jobs: dict[str, dict[str, int]] = {}
        self.unfinished = 0
        """Jobs that had not ended when their client left, before their deadline."""
        self.late_results = 0
        """Answers of nodes that the scheduler no longer wanted."""
        self.busy = 0
        """Assigns that a node sent back because it was leaving."""

    def arrived(self, lag_s: float, late: bool) -> None:
        """Count a job that a client user sends `lag_s` after its intended time."""
        self.due += 1
        self.sent += 1
        self.late += late
        self._lag.record(round(max(0.0, lag_s) * 1e6))

    def dropped(self) -> None:
        """Count a due job that is not sent, because too many of its user are in flight."""
        self.due += 1
        self.dropped_ += 1

    def stands(self, pairs: str, node_id: str) -> None:
        """Record a registered node that serves `pairs` and can get jobs."""
        self._jobs.setdefault(pairs, {}).setdefault(node_id, 0)

    def answered(self, pairs: str, node_id: str) -> None:
        """Count an attempt answered by a node that serves `pairs`."""
        nodes = self._jobs.setdefault(pairs, {})
        nodes[node_id] = nodes.get(node_id, 0) + 1

    def process_report(self, readings: Readings) -> ProcessReport:
        """Return all counts, with the readings of the process."""
        return ProcessReport(readings, self.due, self.sent, self.late, self.dropped_, self._lag.packed(), self._jobs)
