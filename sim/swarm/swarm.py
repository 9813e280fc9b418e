"""Runs many tasks in several processes; a process that dies is a finding, too."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for_death
from threading import Thread

from voxpool.sim.swarm.one_seed import SeedResult
from voxpool.sim.swarm.task import Task, play_task

AHEAD = 2
"""Number of tasks queued for each process, so that none waits."""

Done = tuple[Task, SeedResult]


def play_tasks(tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    """Yield each task with its result on arrival, out of order with more than one of `jobs` processes."""
    if jobs == 1:
        for task in tasks:
            yield task, task.play()
        return
    todo, suspects = deque(tasks), deque[Task]()
    while todo or suspects:
        # After a process has died, each of the running tasks is run alone, to find the one that caused it.
        alone = bool(suspects)
        source = suspects if alone else todo
        with _pool(1 if alone else jobs) as pool:
            running: dict[Future[SeedResult], Task] = {}
            while source or running:
                while source and len(running) < (1 if alone else AHEAD * jobs):
                    task = source.popleft()
                    running[pool.submit(play_task, task)] = task
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                try:
                    for future in sorted(done, key=lambda each: running[each].number):
                        yield running[future], future.result()
                        del running[future]
                except BrokenProcessPool as error:
                    if alone:
                        task = next(iter(running.values()))
                        yield task, task.died(str(error))
                    else:
                        suspects.extend(running.values())
                    break


def _pool(processes: int) -> ProcessPoolExecutor:
    context = get_context("forkserver")
    context.set_forkserver_preload(["voxpool.sim.swarm.task"])
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_the_sweep)


def _end_with_the_sweep() -> None:
    """Let this process end when the one that started the sweep dies: else it would wait for tasks for ever."""
    parent = parent_process()
    assert parent is not None
    Thread(target=_wait_and_end, args=(parent.sentinel,), daemon=True).start()


def _wait_and_end(sentinel: int) -> None:
    wait_for_death([sentinel])
    os._exit(1)
