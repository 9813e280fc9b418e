"""Cost of a simulated job in bare SimPy time-outs: the full production path with trace, checkers and recorder.

Each link has a delay of 2 ms; nodes send a heartbeat every 15 s. Windows of the simulation and of bare SimPy time-outs
alternate in one process, so that both see the same machine, and the median of the ratios of neighbours is given.

    python -m bench.sim_speed [JOBS] [NODES]
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Iterator
from typing import NamedTuple

import simpy

from bench._rows import Row, print_rows
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.scenario.scenario import Links, Nodes, Scenario, Traffic
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import set_up
from voxpool.sim.world.world import World

JOBS = 60_000
NODES, SLOTS, LOAD, MEAN_WORK_S = 1000, 2, 0.7, 2.0
MANY_NODES = 100_000
TIMEOUTS_A_JOB_MAX = 70
"""Goal: a job costs at most this many bare SimPy time-outs; twice as many with MANY_NODES."""
WARM_UP_JOBS = 14_000
"""Jobs before the first window; at 1,000 nodes 20 virtual seconds."""
WINDOW_JOBS = 1000
WINDOW_TIMEOUTS = 50_000


class Speed(NamedTuple):
    """What the windows have measured: medians."""

    jobs_per_s: float
    timeouts_per_s: float
    timeouts_a_job: float


def run(jobs: int = JOBS, nodes: int = 0) -> list[Row]:
    """Measure about `jobs` jobs at NODES and MANY_NODES nodes, or at `nodes`, and return the medians."""
    rows = []
    for count in [nodes] if nodes else [NODES, MANY_NODES]:
        goal = f"<= {TIMEOUTS_A_JOB_MAX if count <= NODES else 2 * TIMEOUTS_A_JOB_MAX}"
        what = f"bare SimPy time-outs a job, {count:,} nodes, trace + {len(CHECKERS)} checkers + recorder"
        rows.append(_row(what, measure(jobs, count, CHECKERS, is_traced=True), goal))
        if count <= NODES:
            rows.append(_row("the same without trace and checkers", measure(jobs, count, (), is_traced=False), ""))
    return rows


def _row(what: str, speed: Speed, goal: str) -> Row:
    beside = f"{speed.jobs_per_s:,.0f} jobs, {speed.timeouts_per_s:,.0f} time-outs a second of CPU"
    return Row("simulation", what, speed.timeouts_a_job, "", goal, beside)


def measure(jobs: int, nodes: int, checkers: tuple[type[Checker], ...], is_traced: bool) -> Speed:
    """Run the scenario with `nodes` nodes in windows between windows of bare time-outs."""
    rate_per_s = LOAD * nodes * SLOTS / MEAN_WORK_S
    warm_up_s = max(WARM_UP_JOBS / rate_per_s, 1.0)
    played = scenario(nodes, rate_per_s, warm_up_s + jobs / rate_per_s)
    world = World(delay_ms=played.links.delay_ms, checkers=checkers, is_traced=is_traced)
    set_up(world, played)
    world.run_to(warm_up_s)
    bare = Bare()
    gc.collect()
    costs, timeouts, ratios = [], [bare.window()], []
    for at_s in _windows(warm_up_s, played.duration_s, WINDOW_JOBS / rate_per_s):
        before = world.recorder.ended["completed"]
        watch = Stopwatch()
        world.run_to(at_s)
        seconds = watch.cpu_seconds()
        costs.append(seconds / (world.recorder.ended["completed"] - before))
        timeouts.append(bare.window())
        ratios.append(2 * costs[-1] / (timeouts[-2] + timeouts[-1]))
    world.stop()
    if world.broken_checkers():
        raise AssertionError(world.broken_checkers())
    return Speed(1 / statistics.median(costs), 1 / statistics.median(timeouts), statistics.median(ratios))


def scenario(nodes: int, rate_per_s: float, duration_s: float) -> Scenario:
    """Return one pool at a load of 0.7."""
    return Scenario(
        name="speed",
        duration_s=duration_s,
        links=Links(delay_ms=2.0),
        nodes=[Nodes(count=nodes, pairs=["zh:en", "en:zh"], slots=SLOTS)],
        traffic=[Traffic(pair="zh:en", rate_per_s=rate_per_s, work_s=Exponential(MEAN_WORK_S), audio_bytes=32_000.0)],
    )


def _windows(start_s: float, end_s: float, length_s: float) -> Iterator[float]:
    count = max(1, round((end_s - start_s) / length_s))
    for window in range(1, count + 1):
        yield start_s + window * length_s


class Bare:
    """A hundred plain SimPy processes that wait for time-outs."""

    def __init__(self) -> None:
        self._env = simpy.Environment()
        for _ in range(100):
            self._env.process(self._process())

    def _process(self) -> simpy.events.ProcessGenerator:
        while True:
            yield self._env.timeout(1)

    def window(self) -> float:
        """Return the seconds of processor time of one time-out, over WINDOW_TIMEOUTS of them."""
        watch = Stopwatch()
        self._env.run(until=self._env.now + WINDOW_TIMEOUTS / 100)
        return watch.cpu_seconds() / WINDOW_TIMEOUTS


if __name__ == "__main__":
    print_rows(run(*map(int, sys.argv[1:3])), "bench.sim_speed")
