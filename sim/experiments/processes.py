"""Runs the parts of an experiment in separate processes, at most two at a time, with a progress bar.

Each part is forked from a server process that has only imported the code, so memory of one part does not affect the
figures of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PROCESSES_MAX = 2
LOOK_EVERY_S = 0.2

Tell = Callable[[float], None]
"""A function that receives the completed share of a part, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: `call(*args, tell)` in a separate process. `call` and `args` must be picklable."""

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...] = ()


def run_parts(parts: Iterable[Part], progress: bool = False, at_once: int = PROCESSES_MAX) -> dict[str, Any]:
    """Run `parts` (the longest should be first) and return name -> result. The first failure is raised."""
    listed = list(parts)
    context = get_context("forkserver")
    context.set_forkserver_preload(["voxpool.sim.experiments"])
    shares: SimpleQueue[tuple[str, float]] = context.SimpleQueue()
    workers = max(1, min(at_once, os.cpu_count() or 1, len(listed)))
    results: dict[str, Any] = {}
    with (
        _bar(progress) as bar,
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin, initargs=(shares,), max_tasks_per_child=1
        ) as pool,
    ):
        tasks = {part.name: bar.add_task(part.name, total=1.0) for part in listed}
        running: dict[Future[Any], str] = {
            pool.submit(_work, part.name, part.call, part.args): part.name for part in listed
        }
        try:
            while running:
                done, _ = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                _show(shares, bar, tasks)
                for future in done:
                    name = running.pop(future)
                    results[name] = future.result()
                    bar.update(tasks[name], completed=1.0)
        except BaseException:
            for future in running:
                future.cancel()
            raise
    return {part.name: results[part.name] for part in listed}


_shares: SimpleQueue[tuple[str, float]] | None = None


def _begin(shares: SimpleQueue[tuple[str, float]]) -> None:
    global _shares
    _shares = shares


def _work(name: str, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    def tell(share: float) -> None:
        if _shares is not None:
            _shares.put((name, share))

    return call(*args, tell)


def _show(shares: SimpleQueue[tuple[str, float]], bar: Progress, tasks: dict[str, TaskID]) -> None:
    while not shares.empty():
        name, share = shares.get()
        bar.update(tasks[name], completed=share)


def _bar(progress: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not progress,
        transient=True,
    )
