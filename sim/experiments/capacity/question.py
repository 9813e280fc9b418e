"""How many nodes does a rate of jobs need, so that 99 % start within a given wait?

The production path is simulated with different numbers of nodes on the same arrivals and works, several seeds each;
Erlang C gives the start of the search. The answer is the smallest number of nodes at which the upper end of the
confidence interval of the 99 % wait is within the bound, so random error makes it too high rather than too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.chance.distributions import Distribution, Exponential, variation
from voxpool.sim.experiments.capacity.pictures import curve_picture
from voxpool.sim.experiments.experiment import SEED, check_store
from voxpool.sim.experiments.processes import Part, Tell, run_parts
from voxpool.sim.report.report import WITH, Line, Report
from voxpool.sim.report.theory import Interval, erlang_c_wait, erlang_c_wait_percentile, spread_factor, student_interval
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.run import set_up
from voxpool.sim.world.world import World

QUESTION = "How many nodes does it take?"
PAIR = "zh:en"
SHARE = 0.99
CONFIDENCE = 0.95
NODES_MAX = 100_000
CURVE_POINTS = 8
WARMUP_PART = 0.1
"""Share of the traffic that is excluded as warm-up."""
PATIENT = {"waiting_timeout_s": 1e6, "dispatch_timeout_s": 1e6, "retention_s": 10.0, "cleanup_interval_s": 10.0}
"""No job times out while it waits, so the waits are those of the pool."""


@dataclass(frozen=True)
class Demand:
    """The requirement: `rate_per_s` jobs of `work_s` on nodes of `slots`, 99 % of which start within `p99_s`."""

    rate_per_s: float
    work_s: Distribution
    p99_s: float
    slots: int

    @property
    def mean_work_s(self) -> float:
        """The mean of the work."""
        return float(self.work_s.mean or 0.0)

    @property
    def least_nodes(self) -> int:
        """The smallest number of nodes with a load below 1."""
        return math.floor(self.rate_per_s * self.mean_work_s / self.slots) + 1

    def load(self, nodes: int) -> float:
        """Return the offered work per slot; below 1 from `least_nodes` on."""
        return self.rate_per_s * self.mean_work_s / (nodes * self.slots)

    def theory_p99_s(self, nodes: int) -> float:
        """Return the 99 % wait by Erlang C; an approximation unless work is exponential."""
        wait_s = erlang_c_wait_percentile(nodes * self.slots, self.load(nodes), self.mean_work_s, SHARE)
        return spread_factor(variation(self.work_s)) * wait_s

    def theory_nodes(self) -> int:
        """Return the number of nodes needed by Erlang C."""
        low, high = self.least_nodes, self.least_nodes
        while self.theory_p99_s(high) > self.p99_s:
            low, high = high + 1, 2 * high
        while low < high:
            middle = (low + high) // 2
            if self.theory_p99_s(middle) <= self.p99_s:
                high = middle
            else:
                low = middle + 1
        return low

    def check(self) -> None:
        """Raise ConfigError when the requirement can't be met by any number of nodes."""
        if not 0 < self.rate_per_s < math.inf or not 0 < self.mean_work_s < math.inf:
            raise ConfigError("capacity: --rate and the mean of --work must be above 0")
        if not self.p99_s >= 0 or not 1 <= self.slots <= 1000:
            raise ConfigError("capacity: --p99 must not be below 0, --slots 1 to 1000")
        if not math.isfinite(variation(self.work_s)):
            raise ConfigError(
                "capacity: the wait can't be planned for work with infinite variance (pareto with a shape up to 2)"
            )
        if self.least_nodes > NODES_MAX:
            raise ConfigError(f"capacity: the work alone fills {self.least_nodes:,} nodes; at most {NODES_MAX:,}")


@dataclass(frozen=True)
class Size:
    """Size of the simulation of each number of nodes: `jobs` jobs with each of `seeds` seeds."""

    jobs: int = 60_000
    seeds: int = 5


FULL = Size()
QUICK = Size(jobs=10_000, seeds=3)


class Found(NamedTuple):
    """The result for one number of nodes: the 99 % and the mean wait over the seeds."""

    nodes: int
    p99: Interval
    mean_s: float
    utilisation: float
    lost: int

    @property
    def surely_s(self) -> float:
        """The upper end of the interval of the 99 % wait."""
        return self.p99.mean + self.p99.half


def try_nodes(demand: Demand, size: Size, seed: int, store: str, nodes: int, tell: Tell) -> Found:
    """Simulate `nodes` nodes. Arrivals and works are the same for every number of nodes."""
    p99s, means, busy, lost = [], [], [], 0
    for number in range(size.seeds):
        scenario = _scenario(demand, size, nodes)
        world = World(
            seed=seed + number,
            settings=scenario.settings,
            store=store,
            checkers=(),
            is_traced=False,
            warmup_s=scenario.warmup_s,
        )
        try:
            set_up(world, scenario)
            world.run_to(scenario.duration_s)
            busy.append(sum(node.busy_s for node in world.nodes) / (nodes * demand.slots * scenario.duration_s))
            world.drain()
            waits = np.frombuffer(world.recorder.wait_s)
            p99s.append(float(np.quantile(waits, SHARE)))
            means.append(float(waits.mean()))
            lost += world.recorder.submitted - world.recorder.ended["completed"]
            world.stop()
        finally:
            world.close()
        tell((number + 1) / size.seeds)
    return Found(
        nodes, student_interval(p99s, CONFIDENCE), math.fsum(means) / len(means), math.fsum(busy) / len(busy), lost
    )


def _scenario(demand: Demand, size: Size, nodes: int) -> Scenario:
    duration_s = size.jobs / demand.rate_per_s / (1 - WARMUP_PART)
    traffic = Traffic(pair=PAIR, rate_per_s=demand.rate_per_s, work_s=demand.work_s)
    return Scenario(
        name="capacity",
        duration_s=duration_s,
        warmup_s=WARMUP_PART * duration_s,
        settings=dict(PATIENT),
        nodes=[Nodes(count=nodes, pairs=[PAIR], slots=demand.slots)],
        traffic=[traffic],
    )


@dataclass(frozen=True)
class Search:
    """Simulates numbers of nodes, each once, two at a time."""

    demand: Demand
    size: Size
    seed: int
    store: str
    progress: bool
    found: dict[int, Found]

    def at(self, *numbers: int) -> list[Found]:
        """Return the results for these numbers of nodes."""
        common = (self.demand, self.size, self.seed, self.store)
        new = [nodes for nodes in dict.fromkeys(numbers) if nodes not in self.found]
        parts = [Part(f"{nodes:,} nodes", try_nodes, (*common, nodes)) for nodes in new]
        at_once = 1 if "://" in self.store else 2
        if parts:
            results = run_parts(parts, self.progress, at_once)
            self.found.update({result.nodes: result for result in results.values()})
        return [self.found[nodes] for nodes in numbers]

    def keeps(self, found: Found) -> bool:
        """True when the confidence interval of the wait is within the bound."""
        return found.surely_s <= self.demand.p99_s

    def run(self) -> Found:
        """Return the smallest number of nodes that keeps the bound: bracketing from theory's number, then bisection."""
        least, high = self.demand.least_nodes, self.demand.theory_nodes()
        low, step = max(least, high - 1), 1
        below, above = self.at(low, high)
        while not self.keeps(above):
            if high + step > NODES_MAX:
                raise ConfigError(f"capacity: not even {high:,} nodes keep a 99 % wait of {self.demand.p99_s:g} s")
            low, high, step = high, high + step, 2 * step
            below, above = self.at(low, high)
        while self.keeps(below) and low > least:
            low, high, step = max(least, low - step), low, 2 * step
            (below,) = self.at(low)
        if self.keeps(below):
            return below
        while high - low > 1:
            middle = (low + high) // 2
            (tried,) = self.at(middle)
            low, high = (low, middle) if self.keeps(tried) else (middle, high)
        return self.found[high]

    def fill_curve(self, answer: int) -> None:
        """Simulate more numbers of nodes around the answer, from a nearly full pool to one without waits."""
        least = self.demand.least_nodes
        reach = max(answer - least, 2)
        steps = [round(least + 1.6 * reach * i / (CURVE_POINTS - 1)) for i in range(CURVE_POINTS)]
        self.at(*(nodes for nodes in dict.fromkeys(steps) if nodes <= NODES_MAX))


def plan(
    demand: Demand, *, size: Size = FULL, seed: int = SEED, store: str = "memory", progress: bool = False
) -> Report:
    """Return the report of how many nodes `demand` needs, with the curve around that number. Raises ConfigError."""
    demand.check()
    check_store(store)
    search = Search(demand, size, seed, store, progress, {})
    answer = search.run()
    search.fill_curve(answer.nodes)
    return _report(demand, size, seed, store, answer, search.found)


def _report(demand: Demand, size: Size, seed: int, store: str, answer: Found, found: dict[int, Found]) -> Report:
    tried = [found[nodes] for nodes in sorted(found)]
    fewer = found.get(answer.nodes - 1)
    theory = demand.theory_nodes()
    is_exact = isinstance(demand.work_s, Exponential)
    room = max(2, math.ceil(0.05 * theory))
    by = "Erlang C" if is_exact else "Allen and Cunneen, approximate"
    load = demand.load(answer.nodes)
    mean_s = erlang_c_wait(answer.nodes * demand.slots, load, demand.mean_work_s)
    mean_s *= spread_factor(variation(demand.work_s))
    lines = [
        Line("", "nodes needed", "", None, answer.nodes, f"{theory - room} .. {theory + room}" if is_exact else ""),
        Line("", f"nodes needed by theory ({by})", "", None, theory),
        Line("", f"99 % wait with {answer.nodes:,} nodes", "s", None, answer.p99.mean),
        Line("", "the same, upper end of its 95 % interval", "s", None, answer.surely_s, f"<= {demand.p99_s:g}"),
        Line("", f"mean wait with {answer.nodes:,} nodes", "s", None, answer.mean_s),
        Line("", f"the same by theory ({by})", "s", None, mean_s),
        Line("", "share of the slots that work", "%", None, 100 * answer.utilisation),
        Line("", "jobs that did not complete", "", None, sum(each.lost for each in tried), "== 0"),
    ]
    if fewer is not None:
        what = f"99 % wait with {fewer.nodes:,} nodes, upper end"
        lines.insert(4, Line("", what, "s", None, fewer.surely_s, f"> {demand.p99_s:g}"))
    points: list[dict[str, Any]] = [
        {
            "nodes": each.nodes,
            "p99_s": each.p99.mean,
            "p99_half_s": each.p99.half,
            "theory_p99_s": demand.theory_p99_s(each.nodes),
            "mean_s": each.mean_s,
            "utilisation": each.utilisation,
        }
        for each in tried
    ]
    options: dict[str, Any] = {
        "rate_per_s": demand.rate_per_s,
        "work": _shown(demand.work_s),
        "p99_s": demand.p99_s,
        "slots": demand.slots,
        "store": store,
        "jobs": size.jobs,
        "seeds": size.seeds,
    }
    return Report(
        experiment="capacity",
        question=f"{demand.rate_per_s:g} jobs/s of {_shown(demand.work_s)}, {demand.slots} slots a node, 99 % within "
        f"{demand.p99_s:g} s: {QUESTION[0].lower()}{QUESTION[1:]}",
        seed=seed,
        options=options,
        lines=lines,
        variants={WITH: {"nodes": answer.nodes, "curve": points}},
        variant=WITH,
        notes=[
            f"{size.seeds} seeds of {size.jobs:,} jobs for each number of nodes; the same arrivals and works for all.",
            "Links have no delay and nodes no faults here: add your network's delay, and spare nodes for failures.",
        ],
        pictures=[partial(curve_picture, demand.p99_s, answer.nodes, points)],
    )


def _shown(work: Distribution) -> str:
    about = [
        f"mean {work.mean or 0:g} s",
        *(f"{name} {getattr(work, name):g}" for name in _MORE if hasattr(work, name)),
    ]
    return f"{type(work).__name__.lower()} work ({', '.join(about)})"


_MORE = ("cv", "shape")
