"""M6: a key per job that names its node, kept for an hour, with a name that the scan for jobs matches.

The sweep scans `job:*`, reads each key as a hash and stops at the first error, which it ignores. A binding is a string:
when the scan meets one before the jobs, neither timeouts nor clean-up happen, and nothing is logged.
"""

from __future__ import annotations

from voxpool.sim.experiments.keyspace import Keyspace, WrongType

BINDING_TTL_S = 3600.0
RETENTION_S = 300.0


class BindingKeys:
    """Jobs in the keyspace, with a binding key each."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keys = keyspace
        self.sweeps = 0
        self.sweeps_in_vain = 0
        """Number of sweeps that removed nothing although a job's retention had ended."""
        self.errors_swallowed = 0

    def dispatch(self, job_id: str, node_id: str) -> None:
        """Write the binding key of the job."""
        self._keys.set(f"job:{job_id}:node", node_id, BINDING_TTL_S)

    def finish(self, job_id: str, now_s: float) -> None:
        """Write the job as finished."""
        self._keys.hset(f"job:{job_id}", state="completed", ended_s=str(now_s))

    def sweep(self, now_s: float) -> int:
        """Remove finished jobs past their retention; return the number. An error ends the sweep and isn't reported."""
        self.sweeps += 1
        removed = 0
        try:
            for key in self._keys.scan("job:*"):
                job = self._keys.hgetall(key)
                if float(job["ended_s"]) < now_s - RETENTION_S:
                    self._keys.delete(key)
                    removed += 1
        except WrongType:
            self.errors_swallowed += 1
        if not removed and self.overdue(now_s):
            self.sweeps_in_vain += 1
        return removed

    def overdue(self, now_s: float) -> int:
        """Return the number of finished jobs past their retention."""
        return sum(
            float(self._keys.hgetall(key)["ended_s"]) < now_s - RETENTION_S
            for key in self._keys.scan("job:*")
            if not key.endswith(":node")
        )

    def bindings(self) -> int:
        """Return the binding keys that have not expired."""
        return sum(1 for _ in self._keys.scan("job:*:node"))
