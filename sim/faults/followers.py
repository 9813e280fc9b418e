"""Faults that follow one which struck the node of a job: they strike the same job while it moves to another node.

Faults at independent times hardly ever meet on one job, so they miss a bug that needs a departure, a resubmit and a
cancel of the same job (DESIGN.md).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.faults.clients import Client
from voxpool.sim.faults.kind import FaultKind, Target
from voxpool.sim.world.clients import Request

if TYPE_CHECKING:
    from voxpool.sim.scenario.scenario import Fault
    from voxpool.sim.wire.world import WireWorld
    from voxpool.sim.world.world import World

FOLLOWS_S = (0.0, 5.0)
"""Default delay of a fault that follows another one."""


class Follower(NamedTuple):
    """A fault that may follow, and its random numbers."""

    fault: Fault
    rng: random.Random


class Followers:
    """The faults of a run that follow others."""

    def __init__(self, world: World | WireWorld) -> None:
        self._world: Any = world
        self._followers: list[Follower] = []

    def add(self, fault: Fault) -> None:
        """Let `fault` follow each fault that strikes at work, with its chance."""
        self._followers.append(Follower(fault, plain_random(self._world.seed, f"follows/{fault.kind}")))

    def draw_job(self, rng: random.Random) -> Request | None:
        """Return the request of a random job that is with a node, or None when there is none."""
        jobs = [request for request in self._world.clients.by_job.values() if request.attempt]
        return jobs[int(rng.random() * len(jobs))] if jobs else None

    def draw(self) -> list[tuple[float, Fault, random.Random]]:
        """Draw the faults that follow now: the delay of each, the fault and its random numbers."""
        return [
            (rng.uniform(*(fault.follows_s or FOLLOWS_S)), fault, rng)
            for fault, rng in self._followers
            if rng.random() < fault.follows
        ]

    def target(self, kind: FaultKind, request: Request) -> Any:
        """Return what a fault of `kind` that follows `request` strikes: its client, or the node that has it now."""
        if kind.target is Target.CLIENT:
            return Client(self._world.clients, request)
        return self._world.node(request.node_id) if request.attempt else None
