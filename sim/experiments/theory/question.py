"""Does the pool agree with theory? Compares each start with the G/G/c recursion, and the mean wait with Erlang C.

`python -m voxpool.sim.experiments.theory.question` compares 200,000 jobs at loads 0.7 and 0.9 with the recursion;
`--erlang` runs five seeds of a million jobs each on two processes and compares the mean wait with Erlang C.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from array import array
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from voxpool.sim.chance.distributions import Distribution, Exponential
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.report.theory import Interval, batch_means, erlang_c_wait, ggc_starts, student_interval
from voxpool.sim.scenario.scenario import Nodes, Scenario, Traffic
from voxpool.sim.world.nodes import SimNode, Work
from voxpool.sim.world.run import set_up
from voxpool.sim.world.world import World

NODES, SLOTS, MEAN_WORK_S = 7, 3, 2.0
LOADS = (0.7, 0.9)
WORK_S = Exponential(MEAN_WORK_S)
TOLERANCE_S = 0.001
JOBS = 200_000
ERLANG_JOBS = 1_000_000
ERLANG_SEEDS = (1, 2, 3, 4, 5)
WARMUP_PART = 0.02
"""Share of the jobs that the mean excludes as warm-up."""
PATIENT = {"waiting_timeout_s": 1e6, "dispatch_timeout_s": 1e6, "retention_s": 60.0}


class Starts(Watcher):
    """Records arrival, work and start of each job of one pool."""

    def __init__(self, world: World) -> None:
        self.arrivals_s = array("d")
        self.works_s = array("d")
        self.starts_s = array("d")
        self._places: dict[str, int] = {}
        self._world = world
        world.hub.add([self])

    def job_submitted(self, job: object) -> None:
        request = self._world.clients.open[job.request_id]  # type: ignore[attr-defined]
        self._places[request.request_id] = len(self.arrivals_s)
        self.arrivals_s.append(request.submitted_at)
        self.works_s.append(request.work_s)
        self.starts_s.append(-1.0)

    def work_started(self, worker: SimNode, work: Work) -> None:
        self.starts_s[self._places.pop(work.request.request_id)] = work.started_at


class Compared(NamedTuple):
    """One run compared with the recursion: `off_s` is the maximum difference of a start, `wait` the mean wait."""

    jobs: int
    off_s: float
    wait: Interval
    broken: list[str]


def pool(load: float, jobs: int, work_s: Distribution = WORK_S) -> Scenario:
    """Return the scenario: 7 nodes with 3 slots, one pair, no delays, no timeouts."""
    rate_per_s = load * NODES * SLOTS / MEAN_WORK_S
    return Scenario(
        name=f"pool at {load}",
        duration_s=jobs / rate_per_s,
        settings=dict(PATIENT),
        nodes=[Nodes(count=NODES, pairs=["zh:en"], slots=SLOTS)],
        traffic=[Traffic(pair="zh:en", rate_per_s=rate_per_s, work_s=work_s)],
    )


def compare(
    load: float,
    jobs: int,
    seed: int,
    work_s: Distribution = WORK_S,
    checkers: Sequence[type[Checker]] = CHECKERS,
) -> Compared:
    """Run a pool and compare each start with the recursion over the same arrivals and works."""
    scenario = pool(load, jobs, work_s)
    world = World(seed=seed, settings=scenario.settings, checkers=checkers, is_traced=False)
    seen = Starts(world)
    set_up(world, scenario)
    world.run_to(scenario.duration_s)
    broken = world.finish()
    expected = ggc_starts(seen.arrivals_s, seen.works_s, NODES * SLOTS)
    off_s = max(abs(start - other) for start, other in zip(seen.starts_s, expected, strict=True))
    waits = [start - arrival for start, arrival in zip(seen.starts_s, seen.arrivals_s, strict=True)]
    warm = waits[int(len(waits) * WARMUP_PART) :]
    return Compared(len(waits), off_s, batch_means(warm), broken)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two comparisons and print it; return 0 when it holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m voxpool.sim.experiments.theory.question", description=__doc__)
    parser.add_argument("--erlang", action="store_true", help="compare the mean wait with Erlang C (long)")
    parser.add_argument("--jobs", type=int, help="jobs per run")
    parser.add_argument("--processes", type=int, default=2, help="processes to run on")
    options = parser.parse_args(arguments)
    if options.erlang:
        return erlang(options.jobs or ERLANG_JOBS, options.processes)
    return recursion(options.jobs or JOBS)


def recursion(jobs: int) -> int:
    """Print the differences from the recursion at each load."""
    holds = True
    for load in LOADS:
        found = compare(load, jobs, seed=1)
        ok = found.off_s <= TOLERANCE_S and not found.broken
        holds = holds and ok
        print(
            f"load {load}: {found.jobs} jobs, starts at most {found.off_s * 1e6:.3f} us from the recursion,"
            f" mean wait {found.wait.mean:.4f} s: {'holds' if ok else 'broken'}"
        )
        for line in found.broken:
            print(f"  {line}")
    return 0 if holds else 1


def erlang(jobs: int, processes: int) -> int:
    """Print the mean wait of all seeds and Erlang C at each load."""
    runs = [(load, jobs, seed) for load in LOADS for seed in ERLANG_SEEDS]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = list(executor.map(_mean_wait, *zip(*runs, strict=True)))
    holds = True
    for load in LOADS:
        theory = erlang_c_wait(NODES * SLOTS, load, MEAN_WORK_S)
        of_load = [result for run, result in zip(runs, found, strict=True) if run[0] == load]
        for seed, result in zip(ERLANG_SEEDS, of_load, strict=True):
            print(f"load {load} seed {seed}: mean wait {result.mean:.5f} ± {result.half:.5f} s")
        together = student_interval([result.mean for result in of_load], 0.99)
        pooled = Interval(together.mean, (sum(result.half**2 for result in of_load) ** 0.5) / len(of_load))
        ok = pooled.holds(theory)
        holds = holds and ok
        print(
            f"load {load}: {pooled.mean:.5f} ± {pooled.half:.5f} s (99 %, batch means over {len(of_load)} seeds),"
            f" Erlang C {theory:.5f} s: {'holds' if ok else 'broken'}"
        )
    return 0 if holds else 1


def _mean_wait(load: float, jobs: int, seed: int) -> Interval:
    return compare(load, jobs, seed, checkers=()).wait


if __name__ == "__main__":
    sys.exit(main())
