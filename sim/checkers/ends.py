"""Checkers of what clients receive: one end of each request, and a result that is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.sim.checkers.base import Checker
from voxpool.sim.world.content import audio_of, output_of

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.world import World


class EveryRequestEndsOnce(Checker):
    """A client receives one end of each request, and a job ends once."""

    sentence = "every request ends exactly once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._by_job = world.clients.by_job
        self._open: dict[str, str] = {}
        """Request id -> job ('' before its submit), for requests whose clients have not received an end."""

    def scheduler_gone(self) -> None:
        """Drop the jobs of the dead scheduler; each open request gets a new one."""
        self._open = dict.fromkeys(self._open, "")

    def request_made(self, request: Request) -> None:
        if request.request_id in self._open:
            self.broke(f"request {request.request_id} was made twice")
        self._open[request.request_id] = ""

    def job_submitted(self, job: Job) -> None:
        older = self._open.get(job.request_id)
        known = self.world.core.table.find(older) if older else None
        if known is not None and not known.begins_anew:
            self.broke(f"request {job.request_id} has a second job, {job.job_id} beside {older}")
        elif older is not None:  # the first job, if there was one, was removed or begins anew
            self._open[job.request_id] = job.job_id

    def job_removed(self, job: Job) -> None:
        """Drop a removed job: a later submit with its request id makes a new job."""
        if self._open.get(job.request_id) == job.job_id:
            self._open[job.request_id] = ""

    def job_ended(self, job: Job) -> None:
        request = self._by_job.get(job.job_id)
        if request is None:
            self.broke(f"{job!r} ended a second time, or nobody asked for it")
            return
        request.ended += 1
        if request.ended > 1:
            self.broke(f"{job!r} ended a second time")

    def request_ended(self, request: Request, state: str) -> None:
        if self._open.pop(request.request_id, None) is None:
            self.broke(f"request {request.request_id} received a second end: {state}")

    def recount(self) -> None:
        waiting = self.world.clients.open.keys()
        self.expect(
            waiting == self._open.keys(),
            f"requests without an end, at the clients and here: {waiting ^ self._open.keys()}",
        )

    def at_end(self) -> None:
        self.recount()
        for request in self.world.clients.open.values():
            self.broke(f"request {request.request_id} (job {request.job_id or 'none'}) never ended")


class EveryResultIsItsOwn(Checker):
    """The output that a client receives is that of its own job and of the audio that it has sent.

    With a short retention a request that is submitted again can be a new job while the result of the first one is on
    its way; that result is its own, too.
    """

    sentence = "every result is that of its own job and audio"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        if not world.content:
            self.not_checked = "audio and outputs have no content"
        self._removed: dict[str, list[str]] = {}
        """Open request -> its jobs that are forgotten."""

    def job_removed(self, job: Job) -> None:
        if job.request_id in self.world.clients.open:
            self._removed.setdefault(job.request_id, []).append(job.job_id)

    def request_ended(self, request: Request, state: str) -> None:
        removed = self._removed.pop(request.request_id, ()) if self._removed else ()
        if state != COMPLETED or self.not_checked:
            return
        audio = audio_of(request.request_id, request.audio_bytes)
        own = output_of(request.job_id, audio)
        if request.output != own and request.output not in [output_of(job_id, audio) for job_id in removed]:
            self.broke(f"{request.request_id} got {request.output}, its own is {own}")
