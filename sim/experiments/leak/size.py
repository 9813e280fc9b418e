"""The question and the sizes of the experiment `leak`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from voxpool.sim.experiments.leak.allocated_bytes import AllocatedSize
from voxpool.sim.experiments.leak.forgotten import AskSize

QUESTION = "Do finished jobs stay in memory for ever, and does the clean-up keep memory bounded?"


@dataclass(frozen=True)
class Size:
    """The size of the measurement. The default is the full size: a day, 1.73 million jobs."""

    duration_s: float = 86_400.0
    rate_per_s: float = 20.0
    nodes: int = 100
    work_s: float = 2.0
    retention_s: float = 300.0
    interval_s: float = 60.0
    tolerance: float = 0.01
    """Accepted deviation of the mean of resident jobs from the prediction: more than twice its scatter."""
    allocated: AllocatedSize = field(default_factory=AllocatedSize)
    planted: tuple[float, ...] = (4.0, 16.0)
    """Planted leaks, in bytes per job."""
    limit_bytes: float = 1.0
    """Growth of allocated bytes, in bytes per job, that counts as none."""
    asks: AskSize = field(default_factory=AskSize)
    tables: tuple[int, ...] = (100_000, 1_000_000, 3_000_000)
    table_rounds: int = 3
    """Number of times that each table is filled; pauses.longest explains why."""
    pause_ms: float = 5.0
    """The longest accepted pause with the fix: the goal of bench/table.py."""

    @property
    def predicted(self) -> float:
        """Mean number of finished jobs (Little's law): each stays its retention and half an interval on average."""
        return self.rate_per_s * (self.retention_s + self.interval_s / 2)

    @property
    def predicted_max(self) -> float:
        """Maximum number just before a sweep: the mean and six standard deviations of a Poisson variable."""
        most = self.rate_per_s * (self.retention_s + self.interval_s)
        return most + 6 * math.sqrt(most)


FULL = Size()
QUICK = Size(
    duration_s=2400.0,
    tolerance=0.03,
    allocated=AllocatedSize(sweeps=90),
    planted=(16.0,),
    limit_bytes=4.0,
    asks=AskSize(duration_s=900.0),
    tables=(100_000, 1_000_000),
)
