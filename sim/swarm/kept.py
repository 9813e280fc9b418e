"""Keeps a failing run of a swarm or a sweep like any failing run (case.py), with its trace and a smaller case."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from voxpool.scheduler.stores.shown import line_to_paste
from voxpool.sim.replay.case import KEPT, Case, Found
from voxpool.sim.replay.case import keep as keep_case
from voxpool.sim.replay.command import keep_failing
from voxpool.sim.swarm.generated import SIZES, draw_scenario
from voxpool.sim.swarm.one_seed import NEVER_ENDS, SeedResult
from voxpool.sim.swarm.task import Task

SHRUNK_MAX = 3
"""Largest number of failing seeds of a swarm that are shrunk, because each may take half a minute."""


def again(seed: int, size: str, store: str) -> str:
    """Return the command that runs `seed` again."""
    words = ["voxpool-sim", "soak", "--seed", str(seed), "--seeds", "1", *(["--size", size] if size != "small" else [])]
    return line_to_paste(words, store if store != "memory" else "")


def keep(result: SeedResult, task: Task, folder: Path | None, is_shrunk: bool) -> Path:
    """Write the folder of a failing run, and return it; with `is_shrunk` also its trace and a smaller case."""
    scenario = draw_scenario(result.seed, SIZES[task.size]) if task.scenario is None else task.scenario
    case = Case(scenario, result.seed, task.store)
    place = (folder or KEPT) / "-".join([case.name, *(f"{path}={value}" for path, value in task.values.items())])
    found = Found(_signs(result), result.trace_hash, details=[*result.broken, *result.error.splitlines()])
    if is_shrunk and NEVER_ENDS not in result.error:
        keep_failing(case, found, result.wall_s, _silent, place)
    else:
        keep_case(case, found, place)
    return place


def _signs(result: SeedResult) -> list[str]:
    """Return the signs, in the format of case.py, that a smaller case must also show."""
    signs = [f"broken: {line.split(': broken ')[0]}" for line in result.broken if ": broken " in line]
    signs += [line for line in result.broken if line.startswith("expected: ")]
    last = result.error.strip().splitlines()[-1:] if result.error else []
    return [*(f"died: {line.split(':')[0].split('.')[-1]}" for line in last), *signs]


def _silent(title: str) -> AbstractContextManager[Callable[[float], None] | None]:
    return nullcontext()


__all__ = ["SHRUNK_MAX", "again", "keep"]
