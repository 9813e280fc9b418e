"""The sizes of the experiment `orphans`, and the type of its figures."""

from __future__ import annotations

from dataclasses import dataclass

from voxpool.sim.report.limits import Figure

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Size:
    """The sizes for all defects; times in virtual seconds."""

    nodes: int = 300
    """M4 and M5."""
    pair: str = "zh:en"
    churn_gap_s: float = 2.0
    """M4: time between two new nodes."""
    churn_life_s: float = 60.0
    """M4: life time of each node."""
    heartbeat_s: float = 15.0
    lease_s: float = 45.0
    after_s: float = 1.0
    """Wait after the end of the last lease: production sweeps the store every second."""
    bindings_s: float = 3600.0
    bindings_rate_per_s: float = 1.0
    interval_s: float = 60.0
    retention_s: float = 300.0
    closes: int = 100_000
    closes_a_batch: int = 200
    slots: int = 2
    full_nodes: int = 20
    crash_share: float = 0.05
    full_after_s: float = 3600.0


FULL = Size()
QUICK = Size(closes=10_000)
