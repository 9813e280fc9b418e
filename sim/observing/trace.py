"""Hashes all events of a run in order: two runs with the same hash are identical."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING

import simpy

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.observing.watch import Watcher

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.nodes import SimNode, Work

BLOCK = 1000
"""Smallest number of events hashed at once; events of the same time are hashed together."""


class Trace(Watcher):
    """Hashes each event with its time, to the last bit of the float. `events` counts them."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._hash = blake2b(digest_size=16)
        self._moments = array("d")
        self._lines: list[str] = []
        self._at = self._moments.append
        self._add = self._lines.append
        self._hashed = 0

    @property
    def events(self) -> int:
        """Number of events so far."""
        return self._hashed + len(self._lines)

    def hexdigest(self) -> str:
        """Return the hash of all events so far."""
        hashed = self._hash.copy()
        self._hash_block(hashed)
        return hashed.hexdigest()

    def instant_over(self) -> None:
        """Hash a block when enough events are stored."""
        if len(self._lines) < BLOCK:
            return
        self._hash_block(self._hash)
        self._hashed += len(self._lines)
        del self._moments[:], self._lines[:]

    def _hash_block(self, hashed: blake2b) -> None:
        """Hash the events since the last block: all times, then all lines."""
        hashed.update(self._moments.tobytes())
        hashed.update("\n".join(self._lines).encode())

    def job_submitted(self, job: Job) -> None:
        self._at(self._env._now)
        self._add(f"submit {job.job_id} {job.request_id} {job.pair} {job.audio_bytes}")

    def job_rejected(self, pair: str, reason: str) -> None:
        self._at(self._env._now)
        self._add(f"reject {pair} {reason}")

    def job_dispatched(self, job: Job, node: Node) -> None:
        self._at(self._env._now)
        self._add(f"dispatch {job.job_id} {node.node_id} {job.attempt}")

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self._at(self._env._now)
        self._add(f"redispatch {job.job_id} {node_id} {attempt} {reason}")

    def job_ended(self, job: Job) -> None:
        self._at(self._env._now)
        self._add(f"end {job.job_id} {job.state} {job.reason}")

    def job_removed(self, job: Job) -> None:
        self._at(self._env._now)
        self._add(f"remove {job.job_id}")

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        self._at(self._env._now)
        self._add(f"late {job_id} {node_id} {attempt}")

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        self._at(self._env._now)
        self._add(f"void {job.job_id} {node_id} {generation}")

    def nobody(self, job: Job) -> None:
        self._at(self._env._now)
        self._add(f"nobody {job.job_id}")

    def node_registered(self, node: Node) -> None:
        self._at(self._env._now)
        self._add(f"register {node.node_id} {node.generation}")

    def node_offline(self, node: Node, reason: str) -> None:
        self._at(self._env._now)
        self._add(f"offline {node.node_id} {node.generation} {reason}")

    def node_rests(self, node: Node, until_ms: int, reason: str) -> None:
        self._at(self._env._now)
        self._add(f"rest {node.node_id} {until_ms} {reason}")

    def store_failed(self, detail: str) -> None:
        self._at(self._env._now)
        self._add("store_failed")

    def work_started(self, worker: SimNode, work: Work) -> None:
        self._at(self._env._now)
        self._add(f"start {work.job_id} {worker.node_id} {work.attempt}")

    def work_ended(self, worker: SimNode, work: Work, is_done: bool) -> None:
        self._at(self._env._now)
        self._add(f"{'done' if is_done else 'stop'} {work.job_id} {worker.node_id} {work.attempt}")

    def request_ended(self, request: Request, state: str) -> None:
        self._at(self._env._now)
        self._add(f"told {request.request_id} {state} {request.output}")

    def fault_began(self, kind: str, target: str) -> None:
        self._at(self._env._now)
        self._add(f"fault {kind} {target}")

    def fault_healed(self, kind: str, target: str) -> None:
        self._at(self._env._now)
        self._add(f"heal {kind} {target}")
