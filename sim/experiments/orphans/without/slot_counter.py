"""M8: slots reserved with a counter, incremented before the job is written and decremented when it ends.

A scheduler that dies between these steps leaves the counter incremented. The job of the slot is unknown, so the slot is
never released, and a node whose counter equals its slots is FULL for ever while it is idle.
"""

from __future__ import annotations

from voxpool.sim.experiments.keyspace import Keyspace


class SlotCounter:
    """Assigns jobs to nodes by counters."""

    def __init__(self, keyspace: Keyspace, slots: int) -> None:
        self._keys = keyspace
        self._slots = slots
        self._jobs: dict[str, str] = {}

    def reserve(self, node_id: str) -> bool:
        """Reserve a slot of the node; False when it is full."""
        if self._keys.incr(f"node:{node_id}:reserved") <= self._slots:
            return True
        self._keys.incr(f"node:{node_id}:reserved", -1)
        return False

    def commit(self, node_id: str, job_id: str) -> None:
        """Write the job of the slot, and send it."""
        self._jobs[job_id] = node_id

    def finish(self, job_id: str) -> None:
        """End the job and release its slot."""
        self._keys.incr(f"node:{self._jobs.pop(job_id)}:reserved", -1)

    def full(self, node_id: str) -> bool:
        """Return whether the node has no free slot."""
        return int(self._keys.get(f"node:{node_id}:reserved") or 0) >= self._slots

    def runs(self, node_id: str) -> int:
        """Return the number of jobs of the node."""
        return sum(1 for holder in self._jobs.values() if holder == node_id)
