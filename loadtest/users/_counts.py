"""What the users of one process count besides their requests: arrivals, attempts that nodes answered, and oddities.

Pure: it begins anew with each test, and hands over all of it each time.
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
        """A test starts."""
        self.due = self.sent = self.late = self.dropped_ = 0
        self._lag = Histogram(DIGITS)
        self._jobs: dict[str, dict[str, int]] = {}
        self.unfinished = 0
        """Jobs that had no end yet when their client left, before their deadline."""
        self.late_results = 0
        """Answers of nodes that the scheduler no longer wanted."""
        self.busy = 0
        """Assigns that a node sent back because it was leaving."""

    def arrived(self, lag_s: float, late: bool) -> None:
        """A client user sends a job, `lag_s` after its intended time."""
        self.due += 1
        self.sent += 1
        self.late += late
        self._lag.record(round(max(0.0, lag_s) * 1e6))

    def dropped(self) -> None:
        """A client user does not send a job that is due: too many of its own are in flight."""
        self.due += 1
        self.dropped_ += 1

    def stands(self, pairs: str, node_id: str) -> None:
        """A node that serves `pairs` is registered: it counts among those that may get jobs."""
        self._jobs.setdefault(pairs, {}).setdefault(node_id, 0)

    def answered(self, pairs: str, node_id: str) -> None:
        """A node that serves `pairs` answered an attempt."""
        nodes = self._jobs.setdefault(pairs, {})
        nodes[node_id] = nodes.get(node_id, 0) + 1

    def process_report(self, readings: Readings) -> ProcessReport:
        """Return all of it, with what the process measured of itself."""
        return ProcessReport(readings, self.due, self.sent, self.late, self.dropped_, self._lag.packed(), self._jobs)
