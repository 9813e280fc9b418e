"""R4: the message of a redispatch has the previous attempt's number, so the new node's answer is ignored.

Attempts weren't counted either (R3), so the job is redispatched at each timeout and never ends.
"""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.experiments.race.without.uncounted import CountsNothing


class SendsTheOldAttempt(CountsNothing):
    """Every message about a redispatched job has the number of the previous attempt."""

    def _send(self, job: Job, node: Node) -> None:
        assert job.audio is not None, job
        named = max(1, job.attempt - 1)
        node.link.send(Assign(job.job_id, named, job.pair, job.audio, self._dispatch_ms, job.session_id or None))
