from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.job import Job
from sim.checkers.base import Checker

if TYPE_CHECKING:
    from sim.clients import Request
    from sim.world import World


class EveryRequestEndsOnce(Checker):
    """A client hears of one end of each request, and a job ends once."""

    sentence = "every request ends exactly once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._made = 0
        self._told = 0
        self._by_job = world.clients.by_job

    def request_made(self, request: Request) -> None:
        self._made += 1

    def job_ended(self, job: Job) -> None:
        request = self._by_job.get(job.job_id)
        if request is None:
            self.broke(f"{job!r} ended a second time")
            return
        request.ended += 1
        if request.ended > 1:
            self.broke(f"{job!r} ended a second time")

    def request_told(self, request: Request, state: str) -> None:
        self._told += 1

    def recount(self) -> None:
        waiting = len(self.world.clients.open)
        self.expect(
            self._made == self._told + waiting,
            f"{self._made} requests, but {self._told} clients heard of the end and {waiting} wait",
        )

    def at_end(self) -> None:
        self.recount()
        for request in self.world.clients.open.values():
            self.broke(f"request {request.request_id} (job {request.job_id or 'none'}) never ended")
