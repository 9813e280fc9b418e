"""The coverage of a run: faults, states and transitions of jobs, states of nodes, and reasons.

Counts are summed over runs. All possible items are listed here, so that the missing ones can be reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import DISPATCHED, FAILED, NEW, REMOVED, TRANSITIONS, WAITING, Job
from voxpool.scheduler.core.nodes.node import GONE, JOINING, READY, Node
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.sim.faults import faults_of
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.swarm.branches import all_blocks

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

Reached = dict[str, Counter[str]]
"""Family -> item -> number of times it was reached."""

KNOWN: dict[str, tuple[str, ...]] = {
    "job states": tuple(state for state in TRANSITIONS if state not in (NEW, REMOVED)),
    "transitions": (
        *(f"{at} -> {then}" for at, events in TRANSITIONS.items() for then in events.values() if then != REMOVED),
        f"ended -> {REMOVED}",
    ),
    "reasons of failures": ("waiting_timeout", "attempts_max", "expired", "too_late"),
    "reasons of redispatches": ("timeout", "closed", "lapsed", "busy", "error", "assign_lost", "reregistered"),
    "reasons of refusals": ("jobs_max", "audio_total_bytes_max", "audio_too_large", "share"),
    "node states": (JOINING, READY, "resting", "draining", GONE),
    "reasons of nodes": ("closed", "lapsed", "rests: busy", "rests: failing"),
    "of the store": ("nobody", "again", "stale allocation", "late result", "failed", "recovered", "emptied"),
    "of the scheduler": ("started again",),
}


def known(ends: str = "model") -> dict[str, tuple[str, ...]]:
    """Return all that a swarm with these ends could reach, by family; the blocks of scripts are marked in the model."""
    blocks = {"script blocks": all_blocks()} if ends == "model" else {}
    return {"faults": tuple(faults_of(ends)), **KNOWN, **blocks}


class Coverage(Watcher):
    """Counts the items that one run reaches."""

    def __init__(self, world: World) -> None:
        self.reached: Reached = {family: Counter() for family in known()}
        self.world = world
        self._states: dict[str, str] = {}
        """Job id -> state, for jobs that have not ended."""

    def _moves(self, job: Job, to: str) -> None:
        before = self._states.get(job.job_id, NEW)
        self.reached["transitions"][f"{before} -> {to}"] += 1
        self.reached["job states"][to] += 1
        self._states[job.job_id] = to

    # ---- jobs

    def job_submitted(self, job: Job) -> None:
        self._moves(job, WAITING)

    def job_dispatched(self, job: Job, node: Node) -> None:
        self._moves(job, DISPATCHED)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self._moves(job, WAITING)
        self.reached["reasons of redispatches"][reason] += 1

    def job_ended(self, job: Job) -> None:
        self._moves(job, job.state)
        self._states.pop(job.job_id)
        if job.state == FAILED:
            self.reached["reasons of failures"][job.reason] += 1

    def job_removed(self, job: Job) -> None:
        self.reached["transitions"][f"ended -> {REMOVED}"] += 1

    def job_rejected(self, pair: str, reason: str) -> None:
        self.reached["reasons of refusals"][reason] += 1

    # ---- nodes

    def node_registered(self, node: Node) -> None:
        self.reached["node states"][node.state] += 1

    def node_offline(self, node: Node, reason: str) -> None:
        self.reached["node states"][GONE] += 1
        self.reached["reasons of nodes"][reason] += 1

    def node_rests(self, node: Node, until_ms: int, reason: str) -> None:
        self.reached["reasons of nodes"][f"rests: {reason}"] += 1

    # ---- store and scheduler

    def calls_run(self, calls: Sequence[ScriptCall], answers: Sequence[list[str]]) -> None:
        states = self.reached["node states"]
        for call, answer in zip(calls, answers, strict=True):
            if call.name == "register_node" and answer[0] == "OK":
                states[JOINING] += 1
            elif call.name == "drain_node" and call.args[3] == "1":
                states["draining" if call.args[2] == "d" else "resting"] += 1
            elif call.name.startswith("select_") and "AGAIN" in answer:
                self.reached["of the store"]["again"] += 1

    def nobody(self, job: Job) -> None:
        self.reached["of the store"]["nobody"] += 1

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        self.reached["of the store"]["stale allocation"] += 1

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        self.reached["of the store"]["late result"] += 1

    def store_failed(self, detail: str) -> None:
        self.reached["of the store"]["failed"] += 1

    def store_recovered(self) -> None:
        self.reached["of the store"]["recovered"] += 1

    def store_emptied(self) -> None:
        self.reached["of the store"]["emptied"] += 1

    def scheduler_gone(self) -> None:
        self._states.clear()

    def scheduler_built(self) -> None:
        if self.world.starts > 1 and self.world.instance != "nobody":
            self.reached["of the scheduler"]["started again"] += 1

    def fault_began(self, kind: str, target: str) -> None:
        self.reached["faults"][kind] += 1


def add(total: Reached, more: Mapping[str, Mapping[str, int]]) -> None:
    """Add the counts of one run to those of others."""
    for family, counts in more.items():
        total.setdefault(family, Counter()).update(counts)


def never(total: Reached, ends: str = "model") -> dict[str, list[str]]:
    """Return what could be reached and never was, by family."""
    return {
        family: [name for name in names if not total.get(family, Counter())[name]]
        for family, names in known(ends).items()
    }
