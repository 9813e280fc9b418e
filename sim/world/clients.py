"""The clients of a run: they make requests, submit again when refused, and hear of the end. Also the result sink."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import msgspec

from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.reasons import SESSION_GONE
from voxpool.scheduler.errors import Rejected
from voxpool.sim.chance.distributions import Draw
from voxpool.sim.observing.watch import Hub
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.busy import BusyLoop

SHARED_SIZES_MAX = 64
"""Sizes of audio for which one object serves all jobs of that size."""

RECONNECT_S = (0.05, 5.0)
"""A client whose connection closed is back within these: the pauses of the SDK's Backoff."""

ENDED_WORK_S = 1.0
"""The work of an assign for a job that has ended, which no client waits for any more."""


class NotListening(Exception):
    """The scheduler is down or stands still: a submit is not read now."""


class Request(msgspec.Struct, gc=False, eq=False):
    """One request of a client, until the client has heard of its end; times are virtual seconds, -1 = not yet."""

    request_id: str
    pair: str
    work_s: float
    """What it takes a node of speed 1."""
    audio_bytes: int
    session_id: str = ""
    affinity: bool = False
    timeout_ms: int | None = None
    retries: int = 0
    job_id: str = ""
    made_at: float = -1.0
    submitted_at: float = -1.0
    dispatched_at: float = -1.0
    started_at: float = -1.0
    assigned: int = 0
    """The highest attempt that was sent to a node."""
    attempt: int = 0
    """The attempt that goes on at `node_id`; 0 = none."""
    node_id: str = ""
    given_up: int = 0
    """How often an attempt was given up, busy nodes apart."""
    done: int = 0
    """How often nodes worked it to the end."""
    ended: int = 0
    """How often the dispatcher reported the end of its job."""
    is_retrying: bool = False
    """True when it was refused and comes again by itself."""

    def forget_job(self) -> None:
        """Its job died with the scheduler; what comes now is another one."""
        self.attempt = self.assigned = self.given_up = self.ended = 0
        self.node_id = ""


class Audio:
    """Makes the audio of a job. Shared: jobs of one size have one object; else each has its own, as over a socket."""

    def __init__(self, is_shared: bool) -> None:
        self._is_shared = is_shared
        self._of_size: dict[int, bytes] = {}

    def of_size(self, size: int) -> bytes:
        """Return `size` bytes of silence."""
        audio = self._of_size.get(size)
        if audio is None:
            audio = bytes(size)
            if self._is_shared and len(self._of_size) < SHARED_SIZES_MAX:
                self._of_size[size] = audio
        return audio


class Clients:
    """All clients, and the scheduler's result sink. `open` holds the requests whose clients wait, by request id;
    `by_job` those whose job goes on.
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
        """The request that is being given to the dispatcher."""
        self._loop = loop
        self._env = loop.env
        self._hub = hub
        self._audio = audio
        self._delay_s = delay_s
        self._random = random
        self._grace_s = grace_s
        self._enter: Callable[[Request], object] = self._arrive
        """A submit has come to the scheduler's process."""
        self._enter_again: Callable[[Request], object] = self._arrive_again
        if busy is not None:
            self._enter, self._enter_again = partial(busy.take, self._arrive), partial(busy.take, self._arrive_again)
        self._submit: Callable[..., Job] = _nobody
        self._dispatcher: Dispatcher | None = None
        self._life = 0
        """How many schedulers there were."""
        self._absent: dict[str, int] = {}
        """Clients whose connection is broken -> how often one of them had left by then."""
        self._absences = 0
        self._unread: list[Callable[[], object]] | None = None
        """What has come while the scheduler stands still."""

    def connect(self, dispatcher: Dispatcher) -> None:
        """A scheduler listens: requests go to its `dispatcher`; those without an end are made again, as by the SDK."""
        self._dispatcher = dispatcher
        self._submit = dispatcher.submit
        for request in list(self.open.values()):
            if not request.is_retrying:
                self._loop.after(self._random.uniform(*RECONNECT_S), self.request_again, request)

    def disconnect(self) -> None:
        """The scheduler is down with all jobs; results on their way are lost with the connections."""
        self._submit = _nobody
        self._dispatcher = None
        self._unread = None
        self._life += 1
        self.by_job.clear()

    def stall(self) -> None:
        """The scheduler reads nothing for a while."""
        self._unread = []
        self._submit = _nobody

    def resume(self) -> None:
        """The scheduler reads again, first what has piled up."""
        assert self._dispatcher is not None
        self._submit = self._dispatcher.submit
        unread, self._unread = self._unread or [], None
        for action in unread:
            action()

    @property
    def is_connected(self) -> bool:
        """True when there is a scheduler that reads."""
        return self._dispatcher is not None and self._unread is None

    # ---- one client, whose requests have their session or else nothing in common

    def client_of(self, request: Request) -> str:
        """Return the name of the client of `request`."""
        return request.session_id or request.request_id

    def leave(self, client: str) -> None:
        """The connection of `client` breaks; if it stays away its jobs are cancelled by the door (session_grace_s)."""
        self._absences += 1
        self._absent[client] = self._absences
        self._loop.after(self._grace_s, self._stays_away, client, self._absences)

    def come_back(self, client: str) -> None:
        """It connects again, and makes again what it has no answer for."""
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
        """The client of `request` doesn't want it any more."""
        self._loop.after(self._way(), self._cancel_now, request)

    def _cancel_now(self, request: Request, reason: str = "cancelled") -> None:
        if self._unread is not None:
            self._unread.append(partial(self._cancel_now, request, reason))
        elif self._dispatcher is not None and request.job_id in self.by_job:
            self._dispatcher.cancel(request.job_id, reason)

    # ---- requests

    def request_again(self, request: Request) -> None:
        """Make `request` again under its id, unless its client has heard of the end."""
        if request.request_id in self.open and self.client_of(request) not in self._absent:
            self._loop.after(self._way(), self._enter_again, request)

    def of_job(self, job_id: str) -> Request:
        """Return the request of a job that goes on; of one that has ended (a variant may still send it) a stand-in."""
        return self.by_job.get(job_id) or Request("", "", ENDED_WORK_S, 0)

    def request(self, request: Request) -> None:
        """Send a new request on its way."""
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
        """Submit without a way; raises Rejected and then forgets the request."""
        self.made += 1
        request.made_at = self._env._now
        self.open[request.request_id] = request
        self._hub.request_made(request)
        try:
            return self._to_dispatcher(request)
        except Rejected:
            self._told(request, "rejected")
            raise

    def _to_dispatcher(self, request: Request) -> Job:
        self.submitting = request
        return self._submit(
            pair=request.pair,
            audio=self._audio.of_size(request.audio_bytes),
            request_id=request.request_id,
            session_id=request.session_id,
            timeout_ms=request.timeout_ms,
            affinity=request.affinity,
        )

    def _arrive_again(self, request: Request) -> None:
        job = self._arrive(request)
        if job is not None and job.ended:
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
                self._loop.after(self._way(), self._told, request, "rejected")
        return None

    def _way(self) -> float:
        return 0.0 if self._delay_s is None else self._delay_s()

    def job_ended(self, job: Job) -> None:
        """The result of `job` goes to its client (ResultSink)."""
        request = self.by_job.pop(job.job_id, None)
        if request is None:
            return
        if self._delay_s is None and not self._absent:
            self._told(request, job.state)
        else:
            self._loop.after(self._way(), self._tell, request, job.state, self._life)

    def _tell(self, request: Request, state: str, life: int) -> None:
        """A result has come, unless its connection broke on the way."""
        if life == self._life and self.client_of(request) not in self._absent:
            self._told(request, state)

    def _told(self, request: Request, state: str) -> None:
        if self.open.pop(request.request_id, None) is not None:
            self._hub.request_told(request, state)


def _nobody(**_: object) -> Job:
    raise NotListening
