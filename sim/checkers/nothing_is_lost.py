from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import DISPATCHED, WAITING
from voxpool.sim.checkers.base import Checker

if TYPE_CHECKING:
    from voxpool.sim.world.world import World


class NothingIsLost(Checker):
    """Jobs submitted = jobs ended + jobs in the system, and jobs ended = jobs kept + jobs removed, at all times;
    except for jobs that were lost with their scheduler.
    """

    sentence = "nothing is lost"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._seen = world.recorder

    def scheduler_built(self) -> None:
        self._table = self.world.core.table

    def instant_over(self) -> None:
        table, seen = self._table, self._seen
        unfinished = seen.submitted - seen.all_ended - seen.died_unfinished
        finished = seen.all_ended - seen.removed - seen.died_finished
        if unfinished != table.unfinished or finished != table.finished:
            self.broke(f"{unfinished} jobs should be unfinished and {finished} kept, but {table!r}")

    def recount(self) -> None:
        """Check that each unfinished job is queued, pauses until its deadline, or is allocated to a connected node."""
        core = self.world.core
        for request in self.world.clients.by_job.values():
            job = core.dispatcher.find(request.job_id)
            if job is None:
                self.broke(f"job {request.job_id} is gone before its end")
            elif job.state == DISPATCHED:
                node = core.node_registry.find(job.node_id)
                self.expect(
                    node is not None and node.reservations.get(job.job_id) is job, f"{job!r}: its node has it not"
                )
            else:
                pauses = job.backoff_until_ms and job.deadline_ms and not job.queued
                waits = job.state == WAITING and (job.queued or bool(pauses))
                self.expect(waits, f"{job!r} is neither queued nor on a node, and has no pause")
        self.expect(
            len(self.world.clients.by_job) == self._table.unfinished,
            f"{len(self.world.clients.by_job)} jobs go on, but {self._table!r}",
        )

    def at_end(self) -> None:
        self.recount()
        core = self.world.core
        self.expect(self._table.unfinished == 0, f"unfinished jobs are left: {self._table!r}")
        self.expect(self._table.audio_bytes == 0, f"audio of ended jobs is left: {self._table!r}")
        self.expect(len(core.waiting) == 0, f"jobs wait that have ended: {core.waiting!r}")
        for node in core.node_registry.nodes.values():
            self.expect(not node.reservations, f"{node!r} holds jobs that have ended")
