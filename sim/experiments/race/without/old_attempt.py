"""R4: the message of a redispatch carries the attempt before, so what the new node answers counts for nothing.

Attempts weren't counted either (R3), so the job goes round at each time-out and never ends.
"""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.experiments.race.without.uncounted import CountsNothing


class SendsTheOldAttempt(CountsNothing):
    """Every message about a job that was redispatched names the attempt before the present one."""

    def _send(self, job: Job, node: Node) -> None:
        assert job.audio is not None, job
        named = max(1, job.attempt - 1)
        node.link.send(Assign(job.job_id, named, job.pair, job.audio, self._dispatch_ms, job.session_id or None))
