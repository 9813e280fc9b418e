"""What is simple because no other scheduler shares the jobs of this one: all of them are in its memory.

Where jobs are in Redis, scheduler/shared/ has other answers to the same questions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from typing import Any

from voxpool.scheduler.core.allocations import Allocations
from voxpool.scheduler.core.jobs.job import FAILED, Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.core.jobs.waiting import Place, Standing
from voxpool.scheduler.core.nodes.node import Node


class Alone(Allocations):
    """The questions of doors, nodes and the service whose answers depend on where the jobs are."""

    table: JobTable

    @abstractmethod
    def end(self, job: Job, state: str, reason: str = "", output: Any = None, detail: str = "") -> None:
        """Bring `job` to its final `state`."""

    async def look_up(self, job_id: str) -> Job | None:
        """Return a job that `find` does not find, if it is elsewhere; here all jobs are in this process.

        Raises Rejected when that can't be known now.
        """
        return None

    async def standing(self, job: Job) -> tuple[Job, Standing | None, Place | None]:
        """Return `job` as it is now; what Redis has of it, if it is there; and where it waits, if the order is fair."""
        return job, None, self.waiting.place(job)

    def is_reported(self, job: Job) -> bool:
        """Whether the end of `job` will be reported to the result sink of this scheduler."""
        return True

    def claim(self, node: Node, job_id: str, attempt: int) -> Job | None:
        """Return the job of an attempt that `node` runs and that is with no node here, or None when it is void."""
        return None

    def roles(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Return the roles, by name, that this dispatcher needs beside those of every core."""
        return []

    @property
    def unfinished(self) -> int:
        """Jobs that this scheduler must end, or hand back, before it stops."""
        return self.table.unfinished

    @property
    def store_knows(self) -> bool:
        """Whether the store has answered all calls."""
        return self.queue.idle

    def stop_taking(self) -> None:
        """This scheduler stops soon. Its jobs go on: nobody else could start them."""

    def leave(self) -> None:
        """All jobs are handed back."""

    def hand_back(self, job: Job) -> None:
        """End `job`, which has not ended: this scheduler stops, and the client is asked to submit it to the next."""
        self.end(job, FAILED, reason=STOPPING)
