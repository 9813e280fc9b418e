"""The parts of `policy` about eligible nodes: those of the pair (C7), and a node that fails (C8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, NodeResult, WorkError
from voxpool.sim.chance.distributions import Exponential
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.experiments.policy.size import Size
from voxpool.sim.experiments.policy.without.unasked import least_loaded_never_rests, never_rests, prefers_unasked
from voxpool.sim.experiments.processes import Tell
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.report.limits import Figure
from voxpool.sim.report.report import WITH, WITHOUT
from voxpool.sim.scenario.scenario import Traffic
from voxpool.sim.world.clients import Request
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.traffic import Stream
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World

Figures = dict[str, Figure]

PAIRS = ("zh:en", "en:zh")
WORK_S = 2.0
TWO_CHOICES = "without, two choices"
"""C8 has two sides without: least loaded, and this one, which is production without rests."""
_SLICES = 20

AFFINITY_NODES = 20
AFFINITY_SLOTS = 4
AFFINITY_LOAD = 0.4
"""A low load, so that the session's node usually has room."""
SESSIONS = 40
ROUNDS = 3
"""Consecutive jobs of a session with the same pair."""

FAILING_NODES = 20
FAILING_SLOTS = 16
FAILING_LOAD = 0.7
FAILING_RATE_PER_S = FAILING_LOAD * FAILING_NODES * FAILING_SLOTS / WORK_S


class RefusesOtherPairs(SimNode):
    """A node that answers with an error to a job of a pair that it doesn't serve."""

    def assigned(self, assign: Assign, request: Request) -> None:
        if assign.pair in self.pairs:
            super().assigned(assign, request)
        else:
            self._send(NodeResult(assign.job_id, assign.attempt, error=WorkError("pair_not_served")))


class FirstFailsAtOnce(SimNode):
    """A node; the first of a run fails each job at once."""

    def assigned(self, assign: Assign, request: Request) -> None:
        if self.node_id.endswith("-1"):
            self._send(NodeResult(assign.job_id, assign.attempt, error=WorkError("broken_node")))
        else:
            super().assigned(assign, request)


class _Switching(Stream):
    """Sessions that change their pair after every ROUNDS jobs."""

    def next_request(self) -> Request:
        number = self._number
        request = super().next_request()
        own = number // SESSIONS + number % SESSIONS  # its number in the session; sessions begin with different pairs
        request.pair = PAIRS[own // ROUNDS % len(PAIRS)]
        return request


class _Given(Watcher):
    """Counts assigns by node, and tracks the last node of each session."""

    def __init__(self) -> None:
        self.assignments = self.wrong = self.could_stay = self.stayed = 0
        self._last: dict[str, Node] = {}

    def job_dispatched(self, job: Job, node: Node) -> None:
        self.assignments += 1
        self.wrong += job.pair not in node.pairs
        last = self._last.get(job.session_id)
        if last is not None and job.pair in last.pairs:
            self.could_stay += 1
            self.stayed += last is node
        self._last[job.session_id] = node


def affinity(size: Size, seed: int, store: str, side: str, tell: Tell) -> Figures:
    """C7: sessions request the node of their last job, and change their pair."""
    variant = replace(Variant() if side == WITH else prefers_unasked(), node=RefusesOtherPairs)
    world = World(seed=seed, store=_store(side, store), variant=variant, is_traced=False, checkers=_checkers(side))
    given = _Given()
    world.hub.add([given])
    for pair in PAIRS:
        world.add_nodes(AFFINITY_NODES // len(PAIRS), [pair], AFFINITY_SLOTS)
    rate_per_s = AFFINITY_LOAD * AFFINITY_NODES * AFFINITY_SLOTS / WORK_S
    traffic = Traffic(
        pair=PAIRS[0], rate_per_s=rate_per_s, work_s=Exponential(WORK_S), sessions=SESSIONS, affinity=True
    )
    world.env.process(_Switching(traffic, "t0", seed, size.affinity_s).run(world.env, world.clients))
    broken = _play(world, size.affinity_s, tell)
    return {
        "assignments": given.assignments,
        "wrong": given.wrong,
        "wrong_share": _percent(given.wrong, given.assignments),
        "failed": world.recorder.reasons.get("pair_not_served", 0),
        "could_stay": given.could_stay,
        "stayed": _percent(given.stayed, given.could_stay),
        "broken": len(broken) if side == WITH else None,
    }


def failing(size: Size, seed: int, store: str, side: str, tell: Tell) -> Figures:
    """C8: one of many nodes fails every job at once, with a final error."""
    variants = {WITH: Variant, WITHOUT: least_loaded_never_rests, TWO_CHOICES: never_rests}
    variant = replace(variants[side](), node=FirstFailsAtOnce)
    world = World(seed=seed, store=_store(side, store), variant=variant, is_traced=False, checkers=_checkers(side))
    world.add_nodes(FAILING_NODES, [PAIRS[0]], FAILING_SLOTS)
    traffic = Traffic(pair=PAIRS[0], rate_per_s=FAILING_RATE_PER_S, work_s=Exponential(WORK_S))
    world.env.process(Stream(traffic, "t0", seed, size.failing_s).run(world.env, world.clients))
    broken = _play(world, size.failing_s, tell)
    seen = world.recorder
    return {
        "jobs": seen.submitted,
        "spoiled": seen.reasons.get("broken_node", 0),
        "spoiled_share": _percent(seen.reasons.get("broken_node", 0), seen.submitted),
        "completed": seen.ended["completed"],
        "broken": len(broken) if side == WITH else None,
    }


def _checkers(side: str) -> Sequence[type[Checker]]:
    return CHECKERS if side == WITH else ()


def _store(side: str, store: str) -> str:
    """Return the store of a side: scripts can be replaced in the memory store only."""
    return store if side == WITH else "memory"


def _play(world: World, duration_s: float, tell: Tell) -> list[str]:
    for part in range(1, _SLICES + 1):
        world.run_to(duration_s * part / _SLICES)
        tell(part / _SLICES)
    world.drain()
    return world.finish()


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None
