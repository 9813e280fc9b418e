"""One run of a swarm or a sweep as data, which any process on any machine can play."""

from __future__ import annotations

import msgspec

from voxpool.sim.scenario.scenario import Scenario
from voxpool.sim.swarm.one_seed import SeedResult, play_scenario, play_seed

CPU_S_MAX = 600.0
"""Processor time after which a run of a scenario counts as endless; drawn runs have their own limit."""


class Task(msgspec.Struct, frozen=True):
    """One run. Without a scenario, it is drawn from the seed in the size."""

    number: int
    """Its place in the table."""
    seed: int
    size: str = "small"
    store: str = "memory"
    scenario: Scenario | None = None
    values: dict[str, str] = {}
    """The values that were set in the scenario, by their path."""
    cpu_s: float = CPU_S_MAX

    def play(self) -> SeedResult:
        """Run it; every error is a finding."""
        if self.scenario is None:
            return play_seed(self.seed, self.size, self.store)
        return play_scenario(self.scenario, self.seed, self.store, self.cpu_s)

    def died(self, reason: str) -> SeedResult:
        """Return the result of a run whose process died."""
        return SeedResult(self.seed, [f"its process died: {reason}"], reason, "", 0, 0, 0, 0.0, 0.0, {})


def play_task(task: Task) -> SeedResult:
    """Run `task`, as a function that a process can be given."""
    return task.play()
