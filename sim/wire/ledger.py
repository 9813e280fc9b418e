"""What the clients of a run have asked for and received, and the rules that their results must keep.

The ledger is outside of the system under test: it stands for the memory of the people who use it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import simpy

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, Job
from voxpool.sim.observing.watch import Watcher

LATE_S = 1.0
"""A result arrives within this time after the job has ended, or after its client's trouble is over."""


def output_of(job_id: str, audio: bytes) -> dict[str, str]:
    """Return the output of simulated work: a function of the job and its audio, so that a mix-up is visible."""
    return {"job": job_id, "audio": digest_of(audio)}


def digest_of(audio: bytes) -> str:
    """Return a short digest of `audio`."""
    return blake2b(audio, digest_size=8).hexdigest()


@dataclass
class Asked:
    """One request of a client. Times are virtual seconds."""

    client: str
    number: int
    audio: bytes
    request_id: str
    life: int
    """The process of the client that has submitted it: 1 for the first."""
    in_order: bool
    may_be_cancelled: bool = False
    """Its client has cancelled it."""
    states: list[str] = field(default_factory=list)
    """The state of each result that the client has received."""
    received_by: int = 0
    """The process that has received the first result."""

    digest: str = ""
    """That of the audio."""

    def __post_init__(self) -> None:
        self.digest = digest_of(self.audio)

    @property
    def is_answered(self) -> bool:
        """Whether a result has come."""
        return bool(self.states)


class Ledger(Watcher):
    """All requests by id. `broken` lists what a client must not see; the scheduler's own view is only used for times.

    `quiet_from_s` is per client the time at which its last fault is over.
    """

    def __init__(self, env: simpy.Environment, in_order_grace_s: float) -> None:
        self.asked: dict[str, Asked] = {}
        self.broken: list[str] = []
        self.waiting = 0
        """Requests without a result."""
        self.quiet_from_s: dict[str, float] = {}
        self.lives: dict[str, int] = {}
        self.accepted: set[str] = set()
        """Requests that the present scheduler has accepted."""
        self.ended_s: dict[str, float] = {}
        self.repeated = 0
        """Results that came again to a later process, which could not know them."""
        self._env = env
        self._in_order_grace_s = in_order_grace_s
        self._ends: dict[str, int] = {}

    # ---- what the scheduler reports

    def job_submitted(self, job: Job) -> None:
        self.accepted.add(job.request_id)

    def job_ended(self, job: Job) -> None:
        self.ended_s[job.request_id] = self._env._now
        self._ends[job.job_id] = self._ends.get(job.job_id, 0) + 1
        if self._ends[job.job_id] > 1:
            self.broken.append(f"{job.job_id} ended {self._ends[job.job_id]} times")

    def scheduler_started(self) -> None:
        """A new scheduler knows none of the jobs."""
        self.accepted.clear()

    # ---- what the clients do and receive

    def asks(self, asked: Asked) -> None:
        """A client submits."""
        self.asked[asked.request_id] = asked
        self.waiting += 1

    @property
    def unanswered(self) -> list[Asked]:
        """The requests without a result."""
        return [asked for asked in self.asked.values() if not asked.is_answered]

    def of(self, client: str) -> list[Asked]:
        """Return the requests of `client` in their order."""
        return [asked for asked in self.asked.values() if asked.client == client]

    def received(self, request_id: str, life: int, result: Any) -> None:
        """The process `life` of a client has received `result`, a JobResult or the exception of its submit."""
        asked = self.asked[request_id]
        state = getattr(result, "state", None) or repr(result)
        if asked.is_answered and life > asked.received_by:
            self.repeated += 1  # the earlier process could die before its acknowledgement was sent
            return
        self.waiting -= not asked.is_answered
        asked.states.append(state)
        asked.received_by = life
        if len(asked.states) > 1:
            self.broken.append(f"{request_id} got {len(asked.states)} results")
        elif state == CANCELLED and asked.may_be_cancelled:
            return
        elif state != COMPLETED:
            self.broken.append(f"{request_id} ended {state} {getattr(result, 'error', '')}")
        else:
            if result.output != {"job": result.job_id, "audio": asked.digest}:
                self.broken.append(f"{request_id}, job {result.job_id}, got the output {result.output}")
            self._check_order(asked, life)
            self._check_time(asked)

    def _check_order(self, asked: Asked, life: int) -> None:
        if not asked.in_order or life != asked.life:
            return
        of_this_life = [other for other in self.of(asked.client) if other.life == life]
        missing = [other for other in of_this_life if other.number < asked.number and not other.is_answered]
        if not missing:
            return
        now_s, first = self._env._now, missing[0].number
        later = [other for other in of_this_life if other.number > first]
        waited_s = max(now_s - self.ended_s.get(other.request_id, now_s) for other in later)
        if waited_s < self._in_order_grace_s - 0.01:
            self.broken.append(f"{asked.request_id} overtook {missing[0].request_id}")

    def _check_time(self, asked: Asked) -> None:
        since_s = max(self.ended_s.get(asked.request_id, self._env._now), self.quiet_from_s.get(asked.client, 0.0))
        bound_s = LATE_S + (self._in_order_grace_s if asked.in_order else 0.0)
        if self._env._now - since_s > bound_s:
            self.broken.append(f"{asked.request_id} was received {self._env._now - since_s:.2f} s after its end")
