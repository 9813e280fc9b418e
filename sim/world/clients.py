"""The clients of a run: they send requests, retry when refused, and receive results. Also the result sink."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import EQUAL, Job, Share
from voxpool.scheduler.core.jobs.reasons import SESSION_GONE
from voxpool.scheduler.core.seams import ResultSink
from voxpool.scheduler.errors import Rejected
from voxpool.sim.chance.distributions import Draw
from voxpool.sim.observing.watch import Hub
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.busy import BusyLoop
from voxpool.sim.world.content import audio_of

SHARED_SIZES_MAX = 64
"""Number of audio sizes for which one object is shared by all jobs of that size."""

RECONNECT_S = (0.05, 5.0)
"""Range of the time after which a client whose connection closed reconnects: the pauses of the SDK's Backoff."""

ENDED_WORK_S = 1.0
"""Work of an assign for a job that has ended and that no client waits for."""


class NotListening(Exception):
    """The scheduler is down or stalled: it does not read a submit now."""


class Request(msgspec.Struct, gc=False, eq=False):
    """One request of a client, until the client has received its end; times are virtual seconds, -1 = not yet."""

    request_id: str
    pair: str
    work_s: float
    """Duration of the work on a node of speed 1."""
    audio_bytes: int
    session_id: str = ""
    affinity: bool = False
    timeout_ms: int | None = None
    retries: int = 0
    share: Share = EQUAL
    partials: int = 0
    job_id: str = ""
    made_at: float = -1.0
    submitted_at: float = -1.0
    dispatched_at: float = -1.0
    started_at: float = -1.0
    assigned: int = 0
    """The highest attempt that was sent to a node."""
    attempt: int = 0
    """The current attempt, on `node_id`; 0 = none."""
    node_id: str = ""
    given_up: int = 0
    """Number of attempts given up, without those of busy nodes."""
    done: int = 0
    """Number of times that nodes completed the work."""
    ended: int = 0
    """Number of times that the dispatcher reported the end of its job."""
    output: Any = None
    """The output of its job, when that has ended."""
    is_retrying: bool = False
    """True when it was refused and will be retried."""

    def forget_job(self) -> None:
        """Reset the fields of the job, which was lost with the scheduler: the next submit makes another one."""
        self.attempt = self.assigned = self.given_up = self.ended = 0
        self.node_id = ""


class Audio:
    """Makes the audio of a job: with content each has its own; without it jobs of one size share one object."""

    def __init__(self, content: bool) -> None:
        self._content = content
        self._of_size: dict[int, bytes] = {}

    def of(self, request: Request) -> bytes:
        """Return the audio of `request`, in its size."""
        size = request.audio_bytes
        if self._content:
            return audio_of(request.request_id, size)
        audio = self._of_size.get(size)
        if audio is None:
            audio = bytes(size)
            if len(self._of_size) < SHARED_SIZES_MAX:
                self._of_size[size] = audio
        return audio


class Clients(ResultSink):
    """All clients, and the scheduler's result sink. `open` holds the requests whose clients wait, by request id;
    `by_job` those whose job has not ended.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        hub: Hub,
        audio: Audio,
        delay_s: Draw | None,
        random: random.Random,
        grace_s: float,
        busy: BusyLoop | None = None,
    ) -> None:
        self.open: dict[str, Request] = {}
        self.by_job: dict[str, Request] = {}
        self.made = 0
        self.submitting = Request("", "", 0.0, 0)
        """The request that is being submitted to the dispatcher."""
        self._loop = loop
        self._env = loop.env
        self._hub = hub
        self._audio = audio
        self._delay_s = delay_s
        self._random = random
        self._grace_s = grace_s
        self._enter: Callable[[Request], object] = self._arrive
        """Handle a submit that arrives at the scheduler's process."""
        self._enter_again: Callable[[Request], object] = self._arrive_again
        if busy is not None:
            self._enter, self._enter_again = partial(busy.take, self._arrive), partial(busy.take, self._arrive_again)
        self._submit: Callable[..., Job] = _nobody
        self._dispatcher: Dispatcher | None = None
        self._life = 0
        """Number of schedulers so far."""
        self._absent: dict[str, int] = {}
        """Client whose connection is broken -> number of disconnections of any client up to then."""
        self._absences = 0
        self._unread: list[Callable[[], object]] | None = None
        """Messages that arrived while the scheduler is stalled."""

    def connect(self, dispatcher: Dispatcher) -> None:
        """Use a new scheduler: requests go to its `dispatcher`; open ones are submitted again, as by the SDK."""
        self._dispatcher = dispatcher
        self._submit = dispatcher.submit
        for request in list(self.open.values()):
            if not request.is_retrying:
                self._loop.after(self._random.uniform(*RECONNECT_S), self.request_again, request)

    def disconnect(self) -> None:
        """Handle the scheduler's death: all jobs are lost, and results in transit are lost with the connections."""
        self._submit = _nobody
        self._dispatcher = None
        self._unread = None
        self._life += 1
        self.by_job.clear()

    def stall(self) -> None:
        """Stop the scheduler from reading messages until `resume`."""
        self._unread = []
        self._submit = _nobody

    def resume(self) -> None:
        """Let the scheduler read again, queued messages first."""
        assert self._dispatcher is not None
        self._submit = self._dispatcher.submit
        unread, self._unread = self._unread or [], None
        for action in unread:
            action()

    @property
    def is_connected(self) -> bool:
        """True when a scheduler runs and reads messages."""
        return self._dispatcher is not None and self._unread is None

    # ---- one client: the requests of one session, or a single request without a session

    def client_of(self, request: Request) -> str:
        """Return the name of the client of `request`."""
        return request.session_id or request.request_id

    def leave(self, client: str) -> None:
        """Break the connection of `client`; after session_grace_s without it the scheduler cancels its jobs."""
        self._absences += 1
        self._absent[client] = self._absences
        self._loop.after(self._grace_s, self._stays_away, client, self._absences)

    def come_back(self, client: str) -> None:
        """Reconnect `client`, and submit again its requests without an answer."""
        if self._absent.pop(client, None) is not None:
            for request in list(self.open.values()):
                if self.client_of(request) == client and not request.is_retrying:
                    self.request_again(request)

    def _stays_away(self, client: str, absence: int) -> None:
        if self._absent.get(client) == absence:
            for request in list(self.open.values()):
                if self.client_of(request) == client:
                    self._cancel_now(request, SESSION_GONE)

    def cancel(self, request: Request) -> None:
        """Cancel `request` as its client."""
        self._loop.after(self._way(), self._cancel_now, request)

    def _cancel_now(self, request: Request, reason: str = "cancelled") -> None:
        if self._unread is not None:
            self._unread.append(partial(self._cancel_now, request, reason))
        elif self._dispatcher is not None and request.job_id in self.by_job:
            self._dispatcher.cancel(request.job_id, reason)

    # ---- requests

    def request_again(self, request: Request) -> None:
        """Submit `request` again under its id, unless its client has received the end."""
        if request.request_id in self.open and self.client_of(request) not in self._absent:
            self._loop.after(self._way(), self._enter_again, request)

    def of_job(self, job_id: str) -> Request:
        """Return the request of a job; a substitute when the job has ended (a variant may still send it)."""
        return self.by_job.get(job_id) or Request("", "", ENDED_WORK_S, 0)

    def request(self, request: Request) -> None:
        """Send a new request to the scheduler."""
        self.made += 1
        request.made_at = self._env._now
        self.open[request.request_id] = request
        self._hub.request_made(request)
        if self._absent and self.client_of(request) in self._absent:
            return
        if self._delay_s is None:
            self._enter(request)
        else:
            self._loop.after(self._delay_s(), self._enter, request)

    def request_now(self, request: Request) -> Job:
        """Submit a request without delay; raises Rejected, after removing the request."""
        self.made += 1
        request.made_at = self._env._now
        self.open[request.request_id] = request
        self._hub.request_made(request)
        try:
            return self._to_dispatcher(request)
        except Rejected:
            self._end_request(request, "rejected")
            raise

    def _to_dispatcher(self, request: Request) -> Job:
        self.submitting = request
        return self._submit(
            pair=request.pair,
            audio=self._audio.of(request),
            request_id=request.request_id,
            session_id=request.session_id,
            timeout_ms=request.timeout_ms,
            affinity=request.affinity,
            share=request.share,
        )

    def _arrive_again(self, request: Request) -> None:
        job = self._arrive(request)
        if job is not None and job.ended:
            request.output = job.output
            self._loop.after(self._way(), self._tell, request, job.state, self._life)

    def _arrive(self, request: Request) -> Job | None:
        request.is_retrying = False
        try:
            return self._to_dispatcher(request)
        except NotListening:
            if self._unread is not None:
                self._unread.append(partial(self._arrive_again, request))
        except Rejected as rejected:
            if request.retries and rejected.retry_after_ms is not None:
                request.retries -= 1
                request.is_retrying = True
                self._loop.after(self._way() + rejected.retry_after_ms / 1000 + self._way(), self._enter, request)
            else:
                self._loop.after(self._way(), self._end_request, request, "rejected")
        return None

    def _way(self) -> float:
        return 0.0 if self._delay_s is None else self._delay_s()

    def job_ended(self, job: Job) -> None:
        """Send the result of `job` to its client (ResultSink)."""
        request = self.by_job.pop(job.job_id, None)
        if request is None:
            return
        request.output = job.output
        if self._delay_s is None and not self._absent:
            self._end_request(request, job.state)
        else:
            self._loop.after(self._way(), self._tell, request, job.state, self._life)

    def _tell(self, request: Request, state: str, life: int) -> None:
        """Deliver a result to the client, unless its connection broke in transit."""
        if life == self._life and self.client_of(request) not in self._absent:
            self._end_request(request, state)

    def _end_request(self, request: Request, state: str) -> None:
        if self.open.pop(request.request_id, None) is not None:
            self._hub.request_ended(request, state)


def _nobody(**_: object) -> Job:
    raise NotListening
