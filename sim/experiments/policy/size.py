"""The sizes of the experiment `policy`, and the catalogue of expected figures."""

from __future__ import annotations

from dataclasses import dataclass

from voxpool.sim.experiments.policy.script import is_script, label_of_script
from voxpool.sim.experiments.policy.without.blind import RULES

PRODUCTION = "production"
POLICIES = (*RULES, PRODUCTION)
"""All policies, in the order of the list."""
LOADS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
KNOWN_S = {
    ("random", 0.7): 4.54,
    ("random", 0.9): 16.06,
    ("two/exact", 0.7): 1.26,
    ("two/exact", 0.9): 3.40,
    ("two/15", 0.7): 3.64,
    ("two/15", 0.9): 7.25,
    ("least/15", 0.7): 8.82,
    ("least/15", 0.9): 27.67,
    ("least/exact", 0.7): 0.0,
    ("least/exact", 0.9): 0.04,
}
"""Mean waits of 200 nodes from empty over 120,000 jobs, by policy and load: defect C6."""
NEAR_ZERO_S = 0.1
"""Smaller means are compared by their difference."""


def label_of(policy: str) -> str:
    """Return `policy` in words."""
    if is_script(policy):
        return label_of_script(policy)
    return RULES[policy].label if policy in RULES else policy


@dataclass(frozen=True)
class Size:
    """The size of the measurement. A run "from empty" has `jobs` jobs; a long run excludes its warm-up."""

    nodes: int = 200
    work_s: float = 2.0
    loads: tuple[float, ...] = LOADS
    policies: tuple[str, ...] = POLICIES
    jobs: int = 120_000
    seeds: int = 1
    """Runs from empty for each policy and load with a catalogue figure; the others have one."""
    part: float = 0.15
    """Accepted relative difference of a mean from the catalogue's."""
    zero_s: float = 0.02
    """Accepted absolute difference where that is near zero, and of production's wait from the central queue."""
    long_jobs: int = 600_000
    longest_jobs: int = 600_000
    """Jobs of a long run at a load >= 0.9: with 2 million the mean of production's wait still varies by 8 %."""
    long_loads: tuple[float, ...] = (0.7, 0.8)
    theory_part: float = 0.1
    """Accepted relative difference of the mean of a long run from theory."""
    affinity_s: float = 1200.0
    failing_s: float = 1200.0

    @property
    def scripts(self) -> tuple[str, ...]:
        """The policies that are in a file."""
        return tuple(policy for policy in self.policies if is_script(policy))

    @property
    def long_policies(self) -> tuple[str, ...]:
        """The policies for which theory has a formula."""
        return tuple(policy for policy in ("random", PRODUCTION) if policy in self.policies)

    def jobs_of_long(self, load: float) -> int:
        """Return the number of jobs of a long run."""
        return self.longest_jobs if load >= 0.9 else self.long_jobs

    def rate_per_s(self, load: float) -> float:
        """Return the arrival rate in jobs per second."""
        return load * self.nodes / self.work_s


NORMAL = Size()
FULL = Size(
    seeds=10, part=0.1, long_jobs=2_000_000, longest_jobs=10_000_000, long_loads=LOADS, theory_part=0.05
)  # fmt: skip
QUICK = Size(
    nodes=40, loads=(0.9,), policies=("random", "two/exact", "two/15", "least/exact", "least/15", PRODUCTION),
    jobs=24_000, part=0.35, zero_s=0.5, long_jobs=40_000, longest_jobs=40_000, long_loads=(0.5,), theory_part=0.2,
    affinity_s=150.0, failing_s=90.0,
)  # fmt: skip
