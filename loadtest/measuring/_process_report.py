"""The report of one process of the generator in addition to its requests: readings, arrivals and nodes.

Each report covers the whole test so far, so that a lost or late message has no effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from voxpool.loadtest.measuring._generator import Readings
from voxpool.loadtest.measuring._histogram import Histogram
from voxpool.loadtest.measuring._tally import DIGITS
from voxpool.loadtest.report._records import Arrivals, spread_of


class ProcessReport(msgspec.Struct):
    """The figures of one process since the start of the test."""

    process: Readings
    due: int = 0
    """Number of arrivals that were due."""
    sent: int = 0
    late: int = 0
    dropped: int = 0
    lag: list[int] = msgspec.field(default_factory=lambda: Histogram(DIGITS).packed())
    """Lags of arrivals, as `Histogram.packed` writes them."""
    jobs: dict[str, dict[str, int]] = {}
    """Number of attempts that its node users answered: pairs of the node -> node id -> number."""

    def plain(self) -> dict[str, Any]:
        """Return plain data for a message; `msgspec.convert` makes it a ProcessReport again."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def arrivals_of(processes: Iterable[ProcessReport], late_ms: float) -> Arrivals | None:
    """Return the arrivals of all processes; None when there were none at all."""
    reports = list(processes)
    intended = sum(one.due for one in reports)
    if not intended:
        return None
    return Arrivals(
        intended=intended,
        sent=sum(one.sent for one in reports),
        late=sum(one.late for one in reports),
        dropped=sum(one.dropped for one in reports),
        late_ms=late_ms,
        lag_s=spread_of(Histogram.merged((Histogram.unpacked(one.lag) for one in reports), DIGITS)),
    )


def served_by(processes: Iterable[ProcessReport]) -> dict[tuple[str, str], int]:
    """Return the attempts by (pairs of the node, node id)."""
    return {
        (pairs, node_id): count
        for one in processes
        for pairs, nodes in one.jobs.items()
        for node_id, count in nodes.items()
    }
