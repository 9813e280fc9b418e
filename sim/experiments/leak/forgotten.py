"""M2: a client queries a result shortly after the job has ended, and the scheduler has removed the job."""

from __future__ import annotations

from dataclasses import dataclass

from voxpool.scheduler.core.composition import CoreClasses
from voxpool.scheduler.core.jobs.job import Job
from voxpool.sim.experiments.leak.without.age_from_creation import AgeFromCreation
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.run import set_up
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World


@dataclass(frozen=True)
class AskSize:
    """Long jobs whose clients query them `ask_after_s` after the end, at two clean-up intervals."""

    duration_s: float = 1800.0
    rate_per_s: float = 1.0
    work_s: float = 301.0
    retention_s: float = 300.0
    dispatch_timeout_s: float = 900.0
    intervals_s: tuple[float, float] = (1.0, 60.0)

    @property
    def asks_after_s(self) -> tuple[float, float]:
        """Time of the query by interval: 1 s after the end, and after one sweep of the default interval."""
        return 1.0, self.intervals_s[1] + 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Number of queries, and number of queries answered "unknown job"."""

    interval_s: float
    after_s: float
    asked: int
    unknown: int

    @property
    def share(self) -> float:
        """The share of unknown answers, in percent; nan without queries."""
        return 100.0 * self.unknown / self.asked if self.asked else float("nan")


class _Asks(Watcher):
    """Clients that query their job once, some time after its end."""

    def __init__(self, world: World, after_s: float) -> None:
        self.asked = self.unknown = 0
        self._world = world
        self._after_s = after_s

    def job_ended(self, job: Job) -> None:
        self._world.loop.after(self._after_s, self._ask, job.job_id)

    def _ask(self, job_id: str) -> None:
        self.asked += 1
        if self._world.core.dispatcher.find(job_id) is None:
            self.unknown += 1


def forgotten(size: AskSize, seed: int, store: str, side: str, tell: Tell) -> list[Asked]:
    """Run the long jobs at each interval, with production's table or the one that counts the age from creation."""
    classes = CoreClasses() if side == "with" else CoreClasses(job_table=AgeFromCreation)
    found = []
    for number, (interval_s, after_s) in enumerate(zip(size.intervals_s, size.asks_after_s, strict=True)):
        scenario = Scenario(
            name="long jobs",
            duration_s=size.duration_s,
            nodes=[Nodes(count=20, pairs=["zh:en"], slots=max(1, round(size.rate_per_s * size.work_s / 10)))],
            traffic=[Traffic(pair="zh:en", rate_per_s=size.rate_per_s, work_s=size.work_s)],
            settings={
                "cleanup_interval_s": interval_s,
                "retention_s": size.retention_s,
                "dispatch_timeout_s": size.dispatch_timeout_s,
            },
        )
        world = World(
            seed=seed,
            settings=scenario.settings,
            store=store,
            variant=Variant(side, classes),
            checkers=(),
            is_traced=False,
        )
        asks = _Asks(world, after_s)
        world.hub.add([asks])
        set_up(world, scenario)
        world.run_to(size.duration_s)
        world.drain()
        world.run(for_s=after_s + 1.0)
        world.stop()
        found.append(Asked(interval_s, after_s, asks.asked, asks.unknown))
        tell((number + 1) / len(size.intervals_s))
    return found
