"""What the experiment `leak` asks, and how much of it is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from voxpool.sim.experiments.leak.allocated_bytes import AllocatedSize
from voxpool.sim.experiments.leak.forgotten import AskSize

QUESTION = "Do finished jobs stay in memory for ever, and does the clean-up keep it within bounds?"


@dataclass(frozen=True)
class Size:
    """How much is measured. The default is the full size: a day, 1.73 million jobs."""

    duration_s: float = 86_400.0
    rate_per_s: float = 20.0
    nodes: int = 100
    work_s: float = 2.0
    retention_s: float = 300.0
    interval_s: float = 60.0
    tolerance: float = 0.01
    """How far the mean of resident jobs may be from the prediction: twice its own scatter and more."""
    allocated: AllocatedSize = field(default_factory=AllocatedSize)
    planted: tuple[float, ...] = (4.0, 16.0)
    """Leaks that are planted, in bytes a job."""
    limit_bytes: float = 1.0
    """Growth of allocated bytes, in bytes a job, that still counts as none."""
    asks: AskSize = field(default_factory=AskSize)
    tables: tuple[int, ...] = (100_000, 1_000_000, 3_000_000)
    table_rounds: int = 3
    """How often each table is filled: pauses.longest says why."""
    pause_ms: float = 5.0
    """The longest pause that a fix may cause: the goal of bench/table.py."""

    @property
    def predicted(self) -> float:
        """Finished jobs in the table by Little's law: each stays for its retention and half an interval on average."""
        return self.rate_per_s * (self.retention_s + self.interval_s / 2)

    @property
    def predicted_max(self) -> float:
        """The most that are there just before a sweep, with six standard deviations of a Poisson number."""
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
