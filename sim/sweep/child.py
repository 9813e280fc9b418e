"""Plays tasks in a child process of the calling thread, so that their limits hold wherever the thread runs.

The limit of processor time is a signal, which only a main thread receives; the threads of a Dask worker have none of
their own. The child plays one task after the other, and ends when its standard input is closed, which also happens when
its parent is killed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import IO

from voxpool.sim.swarm.one_seed import SeedResult
from voxpool.sim.swarm.task import Task

_of_thread = threading.local()


def play_in_child(task: Task) -> SeedResult:
    """Run `task` in the child process of this thread; a child that dies is a finding."""
    child: subprocess.Popen[bytes] | None = getattr(_of_thread, "child", None)
    if child is None or child.poll() is not None:
        child = _of_thread.child = subprocess.Popen(
            [sys.executable, "-m", "voxpool.sim.sweep.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    assert child.stdin is not None and child.stdout is not None
    try:
        pickle.dump(task, child.stdin)
        child.stdin.flush()
        result: SeedResult = pickle.load(child.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        stop_child()
        return task.died(f"exit code {child.returncode}")
    return result


def stop_child() -> None:
    """End the child process of this thread, if it has one."""
    child: subprocess.Popen[bytes] | None = getattr(_of_thread, "child", None)
    if child is not None:
        child.__exit__(None, None, None)  # closes the pipes, and waits
        _of_thread.child = None


def main() -> None:
    """Play the tasks of standard input until it is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a run prints is no answer
    tasks: IO[bytes] = sys.stdin.buffer
    while True:
        try:
            task: Task = pickle.load(tasks)
        except EOFError:
            return
        pickle.dump(task.play(), answers)
        answers.flush()


if __name__ == "__main__":
    main()
