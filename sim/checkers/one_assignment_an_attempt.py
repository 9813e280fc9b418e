from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.links import Connection


class OneAssignmentAnAttempt(Checker):
    """Each attempt is sent to one node, once, before its job has ended, and with a higher number than those before."""

    sentence = "one assignment an attempt"

    def assign_sent(self, request: Request, connection: Connection, assign: Assign) -> None:
        if request.job_id != assign.job_id:
            self.broke(f"{assign.job_id} attempt {assign.attempt} was sent after the job had ended")
        elif assign.attempt <= request.assigned:
            self.broke(f"{assign.job_id} attempt {assign.attempt} was sent after attempt {request.assigned}")
        request.assigned = assign.attempt
