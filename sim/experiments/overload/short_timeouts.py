"""Jobs with a short timeout beside patient ones, above the capacity of their pool: how many of them end in time?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED, Job
from voxpool.scheduler.core.jobs.reasons import EXPIRED
from voxpool.sim.chance.distributions import Distribution, Even, Exponential, Lognormal
from voxpool.sim.checkers import CHECKERS
from voxpool.sim.experiments.overload.without.accepts_all import AcceptsAll
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.report.report import WITH, WITHOUT, Line
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.run import play
from voxpool.sim.world.variant import Variant

PAIR = "zh:en"
SHORT_S, LONG_S = 3.0, 30.0
LATE_FACTOR = 1.25
LOAD = 1.3
NODES, SLOTS = 10, 2
WORKS: dict[str, Distribution] = {
    "even work": Even(1.0, 0.2),
    "lognormal work": Lognormal(1.0, 0.5),
    "exponential work": Exponential(1.0),
}


AT_LEAST = {"even work": 10.0, "lognormal work": 1.5, "exponential work": 0.99}
"""How many times the jobs in time of a pool that refuses nobody. Work without memory gains nothing by an early end."""
REFUSES = "refuses"
"""The side that refuses what would wait too long, and gives up nothing that waits."""


@dataclass(frozen=True)
class ShortJobs:
    """The jobs with the short timeout in one run."""

    made: int = 0
    in_time: int = 0
    in_vain: int = 0
    """Number of jobs that were on a node when their time was over."""
    broken: int = 0

    @property
    def share(self) -> float:
        """The share that was completed in time."""
        return self.in_time / self.made


class _Count(Watcher):
    """Counts the ends of the jobs with the short timeout."""

    def __init__(self) -> None:
        self.ends: Counter[tuple[str, str]] = Counter()

    def job_ended(self, job: Job) -> None:
        if job.expires_ms - job.submitted_ms == SHORT_S * 1000:
            self.ends[job.state, job.reason if job.dispatched_ms else ""] += 1


def short_jobs(work: str, duration_s: float, seed: int, store: str, side: str, tell: Tell) -> ShortJobs:
    """Run the pool at LOAD; half of the jobs have SHORT_S, the others LONG_S."""
    rate_per_s = LOAD * NODES * SLOTS / 2
    scenario = Scenario(
        name=f"short timeouts, {work}",
        duration_s=duration_s,
        settings={
            "waiting_timeout_s": 60.0,
            "retention_s": 10.0,
            "cleanup_interval_s": 10.0,
            "late_factor": LATE_FACTOR if side == WITH else 0.0,
        },
        nodes=[Nodes(count=NODES, pairs=[PAIR], slots=SLOTS)],
        traffic=[
            Traffic(pair=PAIR, rate_per_s=rate_per_s, work_s=WORKS[work], timeout_s=timeout_s)
            for timeout_s in (SHORT_S, LONG_S)
        ],
    )
    count = _Count()
    played = play(
        scenario,
        seed=seed,
        store=store,
        variant=replaced(intake=AcceptsAll) if side == WITHOUT else Variant(),
        checkers=() if side == WITHOUT else CHECKERS,
        is_traced=False,
        progress=tell,
        watchers=[lambda _world: count],
    )
    made = round(scenario.traffic[0].rate_per_s * duration_s)
    return ShortJobs(made, count.ends[COMPLETED, ""], count.ends[FAILED, EXPIRED], len(played.broken))


def lines_of(row: str, found: Mapping[str, ShortJobs]) -> list[Line]:
    """Return the lines of the report; `found` has one entry for each "side work"."""
    lines = []
    for work, at_least in AT_LEAST.items():
        without, refuses, with_ = (found.get(f"{side} {work}") for side in (WITHOUT, REFUSES, WITH))
        limit = ""
        if without is not None and refuses is not None:
            limit = f">= {100 * max(at_least * without.share, 0.99 * refuses.share):.2f}"
        at = f"load {LOAD:g}, half with {SHORT_S:g} s, {work}: of these "
        lines += [
            Line(row, at + "completed in time", "%", _percent(without), _percent(with_), limit),
            Line(row, at + "worked on in vain", "%", _percent(without, "in_vain"), _percent(with_, "in_vain")),
        ]
    return lines


def _percent(jobs: ShortJobs | None, count: str = "in_time") -> float | None:
    return None if jobs is None else 100 * float(getattr(jobs, count)) / jobs.made
