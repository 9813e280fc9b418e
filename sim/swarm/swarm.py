"""Runs many seeds in several processes; a process that dies is a finding, too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from voxpool.sim.swarm.generated import size_of
from voxpool.sim.swarm.one_seed import SeedResult, play_seed

AHEAD = 2
"""Number of seeds queued for each process, so that none waits."""


def play_seeds(seeds: Sequence[int], size: str, store: str, jobs: int) -> Iterator[SeedResult]:
    """Yield the results of `seeds` on arrival, out of order with more than one of `jobs` processes."""
    if jobs == 1:
        for seed in seeds:
            yield play_seed(seed, size_of(seed, size, store), store)
        return
    todo, suspects = deque(seeds), deque[int]()
    while todo or suspects:
        # After a process has died, each of the running seeds is run alone, to find the one that caused it.
        alone = bool(suspects)
        source = suspects if alone else todo
        with _pool(1 if alone else jobs) as pool:
            running: dict[Future[SeedResult], int] = {}
            while source or running:
                while source and len(running) < (1 if alone else AHEAD * jobs):
                    seed = source.popleft()
                    running[pool.submit(play_seed, seed, size_of(seed, size, store), store)] = seed
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                try:
                    for future in sorted(done, key=running.__getitem__):
                        yield future.result()
                        del running[future]
                except BrokenProcessPool as error:
                    if alone:
                        yield _died(next(iter(running.values())), error)
                    else:
                        suspects.extend(running.values())
                    break


def _pool(processes: int) -> ProcessPoolExecutor:
    context = get_context("forkserver")
    context.set_forkserver_preload(["voxpool.sim.swarm.one_seed"])
    return ProcessPoolExecutor(processes, mp_context=context)


def _died(seed: int, error: BrokenProcessPool) -> SeedResult:
    return SeedResult(seed, [f"its process died: {error}"], str(error), "", 0, 0, 0, 0.0, 0.0, {})
