"""How evenly schedulers load their nodes, by where the clients are: all nodes serve the pairs of all clients.

`python -m tests.sim.instances.one_pool` prints the table of docs/guides/several-schedulers.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.instances.costs import SharedCosts, read_costs
from voxpool.sim.instances.production.scheduler import Scheduler
from voxpool.sim.instances.production.world import Instances, Sizes

ONE_POOL = Sizes(schedulers=3, partitions=2, in_flight=0, nodes=8, slots=4, service_s=0.5)
COSTS = read_costs(Path(__file__).resolve().parents[3] / "docs" / "reports" / "shared-costs.toml")
WARM_S = 20.0
"""Some leases: in each a part of what is above the mean is sent to others."""
LOOK_S = 0.05
AT_ONE, UNEVEN, EVEN = (1, 0, 0), (6, 3, 1), (1, 1, 1)
"""Parts of the clients at each scheduler."""


class Spread(NamedTuple):
    """What was measured: parts of the slots in use, and of the jobs."""

    loads: list[float]
    """Of the nodes of each scheduler."""
    elsewhere: float
    """Of the jobs, those that ran at another scheduler than that of their client."""
    wait_ms: float
    """The mean time from the submit to the dispatch."""

    @property
    def ratio(self) -> float:
        """The load of the most loaded scheduler, times the mean."""
        return max(self.loads) * len(self.loads) / sum(self.loads)


class OnePool(Instances):
    """Jobs arrive by chance, `rate_per_s` in all, at the schedulers by the parts of `clients`."""

    def __init__(
        self, sizes: Sizes, costs: SharedCosts, rate_per_s: float, clients: Sequence[float], seed: int
    ) -> None:
        super().__init__(sizes, costs, seed)
        self._rate_per_s = rate_per_s
        self._clients = clients
        self._arrivals = plain_random(seed, "arrivals")
        self._used = [0] * sizes.schedulers
        self._looks = 0
        self._elsewhere = self._counted = 0
        self._waited_ms = 0.0
        self.loop.after(0.01, self._arrive)
        self.loop.after(WARM_S, self._look)

    def _pairs_of(self, number: int) -> list[str]:
        return super()._pairs_of(0)

    def _arrive(self) -> None:
        (number,) = self._arrivals.choices(range(self.sizes.schedulers), self._clients)
        super()._ask(number)
        self.loop.after(self._arrivals.expovariate(self._rate_per_s), self._arrive)

    def _ask(self, number: int) -> None:
        """A result is no reason to ask again."""

    def ended(self, scheduler: Scheduler, job: Job) -> None:
        """Count it."""
        if self.loop.env.now >= WARM_S:
            home = next(node.home for node in self.nodes if node.name == job.node_id)
            self._counted += 1
            self._elsewhere += self.schedulers[home] is not scheduler
            self._waited_ms += job.dispatched_ms - job.submitted_ms
        super().ended(scheduler, job)

    def _look(self) -> None:
        for node in self.nodes:
            self._used[node.home] += len(node.running)
        self._looks += 1
        self.loop.after(LOOK_S, self._look)

    @property
    def spread(self) -> Spread:
        """Return what was measured so far."""
        slots = self.sizes.nodes * self.sizes.slots * self._looks
        jobs = max(1, self._counted)
        return Spread([used / slots for used in self._used], self._elsewhere / jobs, self._waited_ms / jobs)


def spread_of(load: float, clients: Sequence[float], measured_s: float, seed: int = 1) -> Spread:
    """Measure a pool that is loaded to the part `load` of its slots."""
    slots = ONE_POOL.schedulers * ONE_POOL.nodes * ONE_POOL.slots
    world = OnePool(ONE_POOL, COSTS, load * slots / ONE_POOL.service_s, clients, seed)
    try:
        world.run(WARM_S + measured_s)
        assert not world.wrong, world.wrong
        return world.spread
    finally:
        world.close()


if __name__ == "__main__":
    for load in (0.3, 0.6, 0.9):
        for clients in (AT_ONE, UNEVEN, EVEN):
            found = spread_of(load, clients, 5.0)
            loads = ", ".join(f"{one:.0%}" for one in found.loads)
            print(f"| {load:.0%} | {clients} | {loads} | {found.elsewhere:.0%} | {found.wait_ms:.1f} ms |", flush=True)
