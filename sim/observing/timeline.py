"""A run over virtual time: jobs that wait, jobs with nodes, finished jobs, nodes, and when faults began."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from voxpool.sim.observing.watch import Watcher

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

POINTS_MAX = 800
"""Moments that are kept: at twice as many, every second one is dropped and the pauses between them are doubled."""
STEP_S = 0.05
"""The pause between two moments at the beginning of a run."""
FAULTS_MAX = 200


class Timeline(Watcher):
    """Looks at the scheduler of `world` in equal steps of virtual time, and at the first change after each step."""

    def __init__(self, world: World) -> None:
        self.at_s = array("d")
        self.waiting = array("q")
        self.with_nodes = array("q")
        self.finished = array("q")
        self.nodes = array("q")
        self.faults_s: list[float] = []
        """When faults began, the first FAULTS_MAX of them."""
        self._world = world
        self._step_s = STEP_S
        self._next_s = 0.0

    def fault_began(self, kind: str, target: str) -> None:
        if len(self.faults_s) < FAULTS_MAX:
            self.faults_s.append(self._world.env.now)

    def instant_over(self) -> None:
        now = self._world.env.now
        if now < self._next_s:
            return
        self._next_s = now - now % self._step_s + self._step_s
        core = self._world.core
        waiting = core.waiting.total
        self.at_s.append(now)
        self.waiting.append(waiting)
        self.with_nodes.append(core.table.unfinished - waiting)
        self.finished.append(core.table.finished)
        self.nodes.append(len(core.node_registry))
        if len(self.at_s) == 2 * POINTS_MAX:
            self._thin()

    def _thin(self) -> None:
        self.at_s, self.waiting, self.with_nodes = self.at_s[::2], self.waiting[::2], self.with_nodes[::2]
        self.finished, self.nodes = self.finished[::2], self.nodes[::2]
        self._step_s *= 2
