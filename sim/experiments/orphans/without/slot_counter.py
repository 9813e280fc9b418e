"""M8: slots reserved with a counter, one up before the job is written and one down when it ends.

A scheduler that dies between the two steps leaves the counter up. Nobody knows whom the slot was for, so nobody takes
it back, and a node whose counter stands at its slots is FULL for ever while it has nothing to do.
"""

from __future__ import annotations

from voxpool.sim.experiments.keyspace import Keyspace


class SlotCounter:
    """Gives jobs to nodes by counters."""

    def __init__(self, keyspace: Keyspace, slots: int) -> None:
        self._keys = keyspace
        self._slots = slots
        self._jobs: dict[str, str] = {}

    def reserve(self, node_id: str) -> bool:
        """Take a slot of the node; False when it is full."""
        if self._keys.incr(f"node:{node_id}:reserved") <= self._slots:
            return True
        self._keys.incr(f"node:{node_id}:reserved", -1)
        return False

    def commit(self, node_id: str, job_id: str) -> None:
        """Write down which job the slot is for, and send it."""
        self._jobs[job_id] = node_id

    def finish(self, job_id: str) -> None:
        """The job has ended: give the slot back."""
        self._keys.incr(f"node:{self._jobs.pop(job_id)}:reserved", -1)

    def full(self, node_id: str) -> bool:
        """Return whether the node takes no job."""
        return int(self._keys.get(f"node:{node_id}:reserved") or 0) >= self._slots

    def runs(self, node_id: str) -> int:
        """Return the jobs that the node has."""
        return sum(1 for holder in self._jobs.values() if holder == node_id)
