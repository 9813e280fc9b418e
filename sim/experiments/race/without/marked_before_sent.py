"""R13: a job is marked as dispatched, and sent a moment later; a scheduler that dies between both loses the job.

The mark is in the store and survives the process; only the job's timeout finds that it was never sent.
"""

from __future__ import annotations

import asyncio

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node

GAP_S = 0.005
"""Time between the mark and the sending: a round trip to the store."""


class MarksBeforeItSends(Dispatcher):
    """The assign is sent GAP_S after the mark, unless the process dies before."""

    deaths = 0

    def _send(self, job: Job, node: Node) -> None:
        asyncio.get_running_loop().call_later(GAP_S, self._send_now, job, node, job.attempt, self.deaths)

    def _send_now(self, job: Job, node: Node, attempt: int, deaths: int) -> None:
        if deaths == self.deaths and job.attempt == attempt and job.node_id == node.node_id and not job.ended:
            super()._send(job, node)

    def die(self) -> None:
        """Kill and restart the process with the data of the store: pending assigns are lost."""
        self.deaths += 1
