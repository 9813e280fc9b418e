"""Time in an explored execution: a clock that only timers advance, and the scheduler's earliest timer.

Taking a timer advances the clock to its deadline unless that has passed; other steps leave the clock. A message or a
fault can therefore come at any time before the next timer, but no timer fires early or before an earlier one.
"""

from __future__ import annotations

from heapq import heappop
from typing import Any, NamedTuple

import simpy

from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import DISPATCHED, Job
from voxpool.sim.explore.model.channels import Names
from voxpool.sim.explore.model.execution import Step
from voxpool.sim.explore.search.footprints import Footprints
from voxpool.sim.virtual_time.loop import VirtualLoop

START_MS = 1_767_225_600_000


class ExploredClock:
    """The scheduler's clock."""

    def __init__(self, env: simpy.Environment, footprints: Footprints) -> None:
        self.ms = START_MS
        self._env = env
        self._footprints = footprints

    def now_ms(self) -> int:
        """Return the milliseconds since 1970."""
        self._footprints.read("clock")
        return self.ms

    def move_to(self, when_ms: int) -> None:
        """Advance to `when_ms`, unless that has passed."""
        if when_ms > self.ms:
            self._footprints.write("clock")
            self.ms = when_ms
            self._env._now = (when_ms - START_MS) / 1000
        else:
            self._footprints.read("clock")


class Timer(NamedTuple):
    """The earliest timer of the scheduler; `kind` is dispatch, waiting, rest, lease or repeat."""

    kind: str
    step: Step
    when_ms: int


class Timers:
    """The timers of the scheduler: the deadlines of jobs and of nodes, each handled by run_once of its role.

    Periodic work is not due before the first heartbeat, which comes after the last timeout of an execution.
    """

    def __init__(self, core: Core, clock: ExploredClock, loop: VirtualLoop, names: Names) -> None:
        self._core = core
        self._clock = clock
        self._loop = loop
        self._names = names
        self._jobs: Any = core.timeouts.deadlines
        self._nodes: Any = core.leases.deadlines

    def earliest(self) -> Timer | None:
        """Return the next timer; of two at the same time that of a job."""
        job_ms, node_ms = self._jobs.next_ms(), self._nodes.next_ms()
        if self._loop._queue:  # the queue of scripts sleeps before it repeats a flush
            repeat_ms = START_MS + round(self._loop._queue[0][0] * 1000)
            if repeat_ms <= min(job_ms or repeat_ms, node_ms or repeat_ms):
                return Timer("repeat", Step("timer repeat", "store"), repeat_ms)
        if job_ms is not None and (node_ms is None or job_ms <= node_ms):
            job: Job = self._jobs.first()
            kind = "dispatch" if job.state == DISPATCHED else "waiting"
            name = self._names(job.job_id)
            chain = f"{name}|{job.attempt} timer"
            return Timer(kind, Step(f"timer {kind} {name}|{job.attempt}", chain), job_ms)
        if node_ms is None:
            return None
        node = self._nodes.first()
        kind = "rest" if node.rest_until_ms == node_ms else "lease"
        return Timer(kind, Step(f"timer {kind} {node.node_id}", f"timer of {node.node_id}"), node_ms)

    def fire(self, timer: Timer) -> None:
        """Advance the clock to `timer` and run its role."""
        self._clock.move_to(timer.when_ms)
        if timer.kind == "repeat":
            self._loop.timer_fired(heappop(self._loop._queue)[3])
        elif timer.kind in ("dispatch", "waiting"):
            self._core.timeouts.run_once()
        else:
            self._core.leases.run_once()
