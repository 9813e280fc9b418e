"""Faults of the scheduler's process."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from voxpool.sim.faults.kind import FaultKind, Target

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

CLOCK_OFF_MS = 120_000
"""Largest error of the wall clock of a restarted scheduler, in either direction."""


def _crash(world: World, random: random.Random) -> None:
    world.crash_scheduler()


def _start(world: World, state: object) -> None:
    world.start_scheduler()


def _stall(world: World, random: random.Random) -> None:
    world.stall_scheduler()


def _go_on(world: World, state: object) -> None:
    world.resume_scheduler()


def _restart_with_a_wrong_clock(world: World, random: random.Random) -> None:
    world.crash_scheduler()
    world.start_scheduler(int(random.uniform(-CLOCK_OFF_MS, CLOCK_OFF_MS)))


def _restart(world: World, state: object) -> None:
    world.crash_scheduler()
    world.start_scheduler()


SCHEDULER_FAULTS: dict[str, FaultKind] = {
    "scheduler_crash": FaultKind(
        "the process dies with all jobs in its memory; another one starts under a new name",
        Target.SCHEDULER,
        _crash,
        _start,
    ),
    "scheduler_stall": FaultKind(
        "its event loop is blocked: messages queue up in its sockets, timers are late", Target.SCHEDULER, _stall, _go_on
    ),
    "scheduler_clock": FaultKind(
        f"it restarts at once, with a wall clock up to {CLOCK_OFF_MS // 1000} s wrong; another restart corrects it",
        Target.SCHEDULER,
        _restart_with_a_wrong_clock,
        _restart,
    ),
}
