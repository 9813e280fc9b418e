"""Writes a run as a trace for Perfetto: a process per node, a slice per attempt, an arrow per redispatch.

The format is the trace-event JSON of Chrome. Events are written at once; the memory used is bounded by the number of
jobs in the system.
"""

from __future__ import annotations

import heapq
import json
from typing import Any, NamedTuple, TextIO

import simpy

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.sim.observing.watch import Watcher

SCHEDULER, FAULTS, FIRST_NODE = 1, 2, 10
"""Process numbers in the trace: nodes are numbered from FIRST_NODE on, in the order of their first attempt."""


class _Attempt(NamedTuple):
    number: int
    node_id: str
    lane: int
    began_us: float


class _GivenUp(NamedTuple):
    process: int
    lane: int
    at_us: float


class _Lanes:
    """The rows of one node: one for each concurrent attempt; the lowest free row is used."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.rows = 0
        self._free: list[int] = []

    def take(self) -> int:
        """Return a free row, from 1 on."""
        if self._free:
            return heapq.heappop(self._free)
        self.rows += 1
        return self.rows

    def give_back(self, lane: int) -> None:
        """Make the row free again."""
        heapq.heappush(self._free, lane)


class Perfetto(Watcher):
    """Writes the trace of a run to `file`; its owner calls `close`, then closes the file.

    An attempt is a slice from its dispatch to its end as the scheduler sees it. Each node is a process in the trace,
    with a row for each slot that it used, because slices of one row can't overlap.
    """

    def __init__(self, env: simpy.Environment, file: TextIO) -> None:
        self._env = env
        self._file = file
        self._begun = False
        self._flows = 0
        self._nodes: dict[str, _Lanes] = {}
        self._going: dict[str, _Attempt] = {}
        self._given_up: dict[str, _GivenUp] = {}
        self._name(SCHEDULER, "scheduler")
        self._name(FAULTS, "faults")

    def close(self) -> None:
        """End the open slices, and write the end of the file."""
        for job_id in list(self._going):
            self._end(job_id, "still running")
        self._file.write("\n]\n")

    # ---- attempts

    def job_dispatched(self, job: Job, node: Node) -> None:
        now_us = self._now_us()
        lanes = self._nodes.get(node.node_id)
        if lanes is None:
            lanes = self._nodes[node.node_id] = _Lanes(FIRST_NODE + len(self._nodes))
            self._name(lanes.process, node.node_id)
        rows = lanes.rows
        lane = lanes.take()
        if lanes.rows > rows:
            self._write("M", lanes.process, lane, 0.0, "thread_name", args={"name": f"slot {lane}"})
        self._going[job.job_id] = _Attempt(job.attempt, node.node_id, lane, now_us)
        before = self._given_up.pop(job.job_id, None)
        if before is not None:
            self._flows += 1
            flow = {"cat": "redispatch", "id": self._flows}
            self._write("s", before.process, before.lane, before.at_us, "redispatch", **flow)
            self._write("f", lanes.process, lane, now_us, "redispatch", bp="e", **flow)

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        ended = self._end(job.job_id, reason)
        if ended is not None:
            self._given_up[job.job_id] = ended

    def job_ended(self, job: Job) -> None:
        self._given_up.pop(job.job_id, None)
        self._end(job.job_id, job.reason or job.state)

    def scheduler_gone(self) -> None:
        for job_id in list(self._going):
            self._end(job_id, "the scheduler died")
        self._given_up.clear()
        self._instant(SCHEDULER, "the scheduler died")

    def _end(self, job_id: str, how: str) -> _GivenUp | None:
        """Write the slice of the current attempt, and return the start of an arrow from it."""
        attempt = self._going.pop(job_id, None)
        if attempt is None:
            return None
        lanes = self._nodes[attempt.node_id]
        lasted_us = self._now_us() - attempt.began_us
        about = {"job": job_id, "attempt": attempt.number, "ended": how}
        name = f"{job_id}|{attempt.number}"
        self._write("X", lanes.process, attempt.lane, attempt.began_us, name, dur=lasted_us, args=about)
        lanes.give_back(attempt.lane)
        return _GivenUp(lanes.process, attempt.lane, attempt.began_us + max(0.0, lasted_us - 1))

    # ---- moments

    def job_rejected(self, pair: str, reason: str) -> None:
        self._instant(SCHEDULER, f"rejected {pair}: {reason}")

    def node_registered(self, node: Node) -> None:
        self._instant(SCHEDULER, f"registered {node.node_id}")

    def node_offline(self, node: Node, reason: str) -> None:
        self._instant(SCHEDULER, f"offline {node.node_id}: {reason}")

    def node_rests(self, node: Node, until_ms: int, reason: str) -> None:
        self._instant(SCHEDULER, f"rests {node.node_id}: {reason}")

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        self._instant(SCHEDULER, f"stale allocation of {node_id} for {job.job_id}")

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        self._instant(SCHEDULER, f"late result {job_id}|{attempt} of {node_id}")

    def store_failed(self, detail: str) -> None:
        self._instant(SCHEDULER, "the store did not answer")

    def store_emptied(self) -> None:
        self._instant(FAULTS, "the store lost its data")

    def fault_began(self, kind: str, target: str) -> None:
        self._instant(FAULTS, f"{kind} {target}")

    def fault_healed(self, kind: str, target: str) -> None:
        self._instant(FAULTS, f"healed {kind} {target}")

    # ---- the file

    def _now_us(self) -> float:
        return self._env._now * 1e6

    def _instant(self, process: int, name: str) -> None:
        self._write("i", process, 0, self._now_us(), name, s="p")

    def _name(self, process: int, name: str) -> None:
        self._write("M", process, 0, 0.0, "process_name", args={"name": name})

    def _write(self, kind: str, process: int, lane: int, at_us: float, name: str, **more: Any) -> None:
        event = {"name": name, "ph": kind, "pid": process, "tid": lane, "ts": at_us, **more}
        self._file.write((",\n" if self._begun else "[\n") + json.dumps(event))
        self._begun = True
