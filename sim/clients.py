"""The clients of a run: they make requests, submit again when refused, and hear of the end. Also the result sink."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from scheduler.errors import Rejected
from scheduler.job import Job
from sim.distributions import Draw
from sim.loop import VirtualLoop
from sim.watch import Hub

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
    """How often the dispatcher said that its job ended."""
    is_retrying: bool = False
    """Whether it was refused and comes again by itself."""

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

    def __init__(self, loop: VirtualLoop, hub: Hub, audio: Audio, delay_s: Draw | None, random: random.Random) -> None:
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
        self._submit: Callable[..., Job] = _nobody
        self._life = 0
        """How many schedulers there were."""

    def connect(self, submit: Callable[..., Job]) -> None:
        """A scheduler listens: requests go to its `submit`; those without an end are made again, as by the SDK."""
        self._submit = submit
        for request in list(self.open.values()):
            if not request.is_retrying:
                self._loop.after(self._random.uniform(*RECONNECT_S), self.request_again, request)

    def disconnect(self) -> None:
        """The scheduler is down with all jobs; results on their way are lost with the connections."""
        self._submit = _nobody
        self._life += 1
        self.by_job.clear()

    def request_again(self, request: Request) -> None:
        """Make `request` again under its id, unless its client has heard of the end."""
        if request.request_id in self.open:
            self._loop.after(self._way(), self._arrive_again, request)

    def of_job(self, job_id: str) -> Request:
        """Return the request of a job that goes on; of one that has ended (a variant may still send it) a stand-in."""
        return self.by_job.get(job_id) or Request("", "", ENDED_WORK_S, 0)

    def request(self, request: Request) -> None:
        """Send a new request on its way."""
        self.made += 1
        request.made_at = self._env._now
        self.open[request.request_id] = request
        self._hub.request_made(request)
        if self._delay_s is None:
            self._arrive(request)
        else:
            self._loop.after(self._delay_s(), self._arrive, request)

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
            pass  # it is made again when a scheduler listens
        except Rejected as rejected:
            if request.retries and rejected.retry_after_ms is not None:
                request.retries -= 1
                request.is_retrying = True
                self._loop.after(self._way() + rejected.retry_after_ms / 1000 + self._way(), self._arrive, request)
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
        if self._delay_s is None:
            self._told(request, job.state)
        else:
            self._loop.after(self._delay_s(), self._tell, request, job.state, self._life)

    def _tell(self, request: Request, state: str, life: int) -> None:
        """A result has come, unless its connection broke on the way."""
        if life == self._life:
            self._told(request, state)

    def _told(self, request: Request, state: str) -> None:
        if self.open.pop(request.request_id, None) is not None:
            self._hub.request_told(request, state)


def _nobody(**_: object) -> Job:
    raise NotListening
