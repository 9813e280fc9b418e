"""Simulated jobs a second on one core: the full production path with trace, checkers and recorder on, 1,000 nodes.

Each link has a delay of 2 ms; nodes send a heartbeat every 15 s. Bare SimPy timeouts are measured in the same process,
so that the figure can be compared between machines. Run alone: python -m bench.sim_speed [JOBS]
"""

from __future__ import annotations

import gc
import statistics
import sys

import simpy

from bench._rows import Row, print_rows
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.scenario.scenario import Links, Nodes, Scenario, Traffic
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.world.run import set_up
from voxpool.sim.world.world import World

JOBS = 100_000
GOAL = ">= 15000"
NODES, SLOTS, LOAD, MEAN_WORK_S = 1000, 2, 0.7, 2.0
WARM_UP_S = 20.0
"""Virtual time of the warm-up, which is not measured."""
ROUNDS = 3
TIMEOUTS = 300_000


def run(jobs: int = JOBS) -> list[Row]:
    """Measure `jobs` jobs three times and return the medians."""
    full, bare, timeouts = [], [], []
    for _ in range(ROUNDS):
        timeouts.append(bare_timeouts(TIMEOUTS))
        full.append(jobs_per_s(jobs, CHECKERS, is_traced=True))
        bare.append(jobs_per_s(jobs, (), is_traced=False))
    middle, beside = statistics.median(full), statistics.median(timeouts)
    a_job = beside / middle
    return [
        Row(
            "simulation",
            f"jobs a second of CPU, {NODES} nodes, trace + {len(CHECKERS)} checkers + recorder",
            middle,
            "/s",
            GOAL,
            f"a job costs {a_job:.0f} bare SimPy timeouts ({beside:,.0f} /s)",
        ),
        Row(
            "simulation",
            f"the same without trace and checkers, {NODES} nodes",
            statistics.median(bare),
            "/s",
            "",
            f"a job costs {beside / statistics.median(bare):.0f} bare SimPy timeouts",
        ),
    ]


def scenario(jobs: int) -> Scenario:
    """Return one pool at a load of 0.7 for about `jobs` jobs after its warm-up."""
    rate_per_s = LOAD * NODES * SLOTS / MEAN_WORK_S
    return Scenario(
        name="speed",
        duration_s=WARM_UP_S + jobs / rate_per_s,
        links=Links(delay_ms=2.0),
        nodes=[Nodes(count=NODES, pairs=["zh:en", "en:zh"], slots=SLOTS)],
        traffic=[Traffic(pair="zh:en", rate_per_s=rate_per_s, work_s=Exponential(MEAN_WORK_S), audio_bytes=32_000.0)],
    )


def jobs_per_s(jobs: int, checkers: tuple[type[Checker], ...], is_traced: bool) -> float:
    """Return completed jobs a second of processor time."""
    played = scenario(jobs)
    world = World(delay_ms=played.links.delay_ms, checkers=checkers, is_traced=is_traced)
    set_up(world, played)
    world.run_to(WARM_UP_S)
    gc.collect()
    before = world.recorder.ended["completed"]
    watch = Stopwatch()
    world.run_to(played.duration_s)
    seconds = watch.cpu_seconds()
    done = world.recorder.ended["completed"] - before
    world.stop()
    if world.broken_checkers():
        raise AssertionError(world.broken_checkers())
    return done / seconds


def bare_timeouts(count: int) -> float:
    """Return how many timeouts a second of processor time a hundred plain SimPy processes handle."""
    env = simpy.Environment()

    def process() -> simpy.events.ProcessGenerator:
        while True:
            yield env.timeout(1)

    for _ in range(100):
        env.process(process())
    watch = Stopwatch()
    env.run(until=count / 100)
    return count / watch.cpu_seconds()


if __name__ == "__main__":
    print_rows(run(*map(int, sys.argv[1:2])), "bench.sim_speed")
