"""R13: a job is marked as dispatched, and sent a moment later; what dies between the two loses the job.

The mark stands in the store and outlives the process; that nobody works on the job is found by its time-out.
"""

from __future__ import annotations

import asyncio

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node

GAP_S = 0.005
"""Between the mark and the sending: a round trip to the store."""


class MarksBeforeItSends(Dispatcher):
    """The assign goes out GAP_S after the job was marked, unless the process dies meanwhile."""

    deaths = 0

    def _send(self, job: Job, node: Node) -> None:
        asyncio.get_running_loop().call_later(GAP_S, self._send_now, job, node, job.attempt, self.deaths)

    def _send_now(self, job: Job, node: Node, attempt: int, deaths: int) -> None:
        if deaths == self.deaths and job.attempt == attempt and job.node_id == node.node_id and not job.ended:
            super()._send(job, node)

    def die(self) -> None:
        """The process dies and starts again with what the store has: nothing of what it was about to send is left."""
        self.deaths += 1
