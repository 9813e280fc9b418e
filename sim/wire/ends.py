"""The ends of a wire run as recorder, checkers and trace see them: nodes, requests, and what only an end knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.seams import ResultSink
from voxpool.scheduler.protocol.messages import Assign
from voxpool.sim.observing.watch import Hub, Watcher
from voxpool.sim.world.clients import Request

if TYPE_CHECKING:
    import simpy


class Requests(ResultSink):
    """The requests whose clients wait, by request id, and those with a job that goes on, by job id."""

    def __init__(self, env: simpy.Environment, hub: Hub) -> None:
        self.open: dict[str, Request] = {}
        self.by_job: dict[str, Request] = {}
        self.made = 0
        self.submitting = Request("", "", 0.0, 0)
        """Stands for a request whose client has its answer already."""
        self._env, self._hub = env, hub

    def make(self, request: Request) -> None:
        """A client sends `request` for the first time."""
        self.made += 1
        request.made_at = self._env._now
        self.open[request.request_id] = request
        self._hub.request_made(request)

    def record_result(self, request_id: str, state: str, output: object) -> None:
        """Its client has received the end, with this output."""
        request = self.open.pop(request_id, None)
        if request is not None:
            request.output = output
            self._hub.request_ended(request, state)

    def job_ended(self, job: Job) -> None:
        """Do nothing: the empty core, whose result sink this is, has no jobs."""


class Sent(NamedTuple):
    """The connection of a node as the checkers see it."""

    node: Node


class Ends(Watcher):
    """Derives from the scheduler's events those that the ends report in a run of the model; it is the last watcher."""

    def __init__(self, requests: Requests, hub: Hub) -> None:
        self._requests, self._hub = requests, hub

    def job_dispatched(self, job: Job, node: Node) -> None:
        """The dispatcher sends its assign in the same step."""
        assign = Assign(job.job_id, job.attempt, job.pair, b"", 0)
        request = self._requests.by_job.get(job.job_id) or self._requests.submitting
        self._hub.assign_sent(request, Sent(node), assign)  # type: ignore[arg-type]

    def job_ended(self, job: Job) -> None:
        """The result goes to the client."""
        self._requests.by_job.pop(job.job_id, None)
