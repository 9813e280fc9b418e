"""A run in the child process of a thread: its limits hold there, and its death is a finding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.sim.sweep.small import tasks
from voxpool.sim.swarm.one_seed import NEVER_ENDS, SeedResult
from voxpool.sim.swarm.task import Task
from voxpool.sim.sweep.child import play_in_child, stop_child


class Dies(Task, frozen=True):
    """Its process ends in the middle."""

    def play(self) -> SeedResult:
        os._exit(3)


class Prints(Task, frozen=True):
    """It prints where its answer should stand."""

    def play(self) -> SeedResult:
        print("not an answer")
        return super().play()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(stop_child).result()


def test_the_limit_holds_in_a_thread_and_a_dead_child_is_replaced(tmp_path: Path, thread: ThreadPoolExecutor) -> None:
    (task,) = tasks(tmp_path, 1)
    assert task.scenario is not None
    here = task.play()

    endless = msgspec.structs.replace(task, cpu_s=0.05, scenario=msgspec.structs.replace(task.scenario, duration_s=1e7))
    assert NEVER_ENDS in thread.submit(play_in_child, endless).result().error

    dead = thread.submit(play_in_child, Dies(1, 7)).result()
    assert dead.seed == 7 and dead.broken == ["its process died: exit code 3"]

    printed = Prints(2, task.seed, "", "memory", task.scenario)
    assert thread.submit(play_in_child, printed).result().trace_hash == here.trace_hash
