"""What the clients of a run have asked for and received, and the rules that their results must keep.

The ledger is outside of the system under test: it stands for the memory of the people who use it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, Job
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.sdk.errors import SchedulerUnreachable, SubmitRejected
from voxpool.sim.checkers import Checker
from voxpool.sim.faults import faults_of

if TYPE_CHECKING:
    from voxpool.sim.wire.world import WireWorld

LATE_S = 1.0
"""A result arrives within this time after the job has ended, or after the trouble of its client is over."""
RECOVERED_S = 10.0
"""The time after a fault in which a client has reconnected and the store or the scheduler has caught up."""
NOTICED_S = 75.0
"""The time in which both ends have noticed a dead connection by their pings, and reconnected."""
UNNOTICED = ("client_dark", "client_partition", "client_narrow", "client_freeze", "scheduler_stall")
"""Faults whose connections may be dead without a sign."""
DIGESTS_KEPT = 32
"""Digests that are remembered: those of requests that have not reached their worker yet."""
ABSENT_SHARE = 0.8
"""A client that was in trouble for less than this share of session_grace_s must not lose its session."""


def output_of(job_id: str, audio: bytes) -> dict[str, str]:
    """Return the output of simulated work: a function of the job and its audio, so that a mix-up is visible."""
    return {"job": job_id, "audio": digest_of(audio)}


@lru_cache(maxsize=DIGESTS_KEPT)
def digest_of(audio: bytes) -> str:
    """Return a short digest of `audio`; the client and the worker compute the same one."""
    return blake2b(audio, digest_size=8).hexdigest()


@dataclass
class Asked:
    """One request of a client."""

    client: str
    number: int
    request_id: str
    pair: str
    audio: bytes
    in_order: bool
    digest: str
    timeout_ms: int | None = None
    affinity: bool = False
    priority: int | None = None
    key: str | None = None
    """With the setting order = "fair": its priority, and whose turn it takes (None = that of its token)."""
    partials: int = 0
    """Partial results that its worker sends; 0: its client does not ask for them."""
    life: int = 0
    """The process of the client that has submitted it: 1 for the first, 0 before."""
    may_be_cancelled: bool = False
    """Its client cancels it."""
    states: list[str] = field(default_factory=list)
    """The state of each result that the client has received."""
    received_by: int = 0
    """The process that has received the first result."""

    @property
    def is_answered(self) -> bool:
        """Whether a result has come."""
        return bool(self.states)


class Trouble:
    """The faults of one target: whether one is on, since when all is well, and the longest one."""

    def __init__(self) -> None:
        self.since_s: float | None = None
        self.well_from_s = float("-inf")
        self.longest_s = 0.0

    def began(self, kind: str, now_s: float) -> None:
        """A fault has begun; one of a moment is over at once."""
        self.since_s = None if faults_of("wire")[kind].is_momentary else now_s
        self._recovers(kind, now_s)

    def healed(self, kind: str, now_s: float) -> None:
        """It is over."""
        if self.since_s is not None:
            self.longest_s = max(self.longest_s, now_s - self.since_s)
            self.since_s = None
            self._recovers(kind, now_s)

    def _recovers(self, kind: str, now_s: float) -> None:
        self.well_from_s = max(self.well_from_s, now_s + (NOTICED_S if kind in UNNOTICED else RECOVERED_S))


class Ledger(Checker):
    """All requests by id, with what their clients have received."""

    sentence = "every client receives its own results, once, in order and in time"

    def __init__(self, world: WireWorld) -> None:
        super().__init__(world)  # type: ignore[arg-type]
        self.asked: dict[str, Asked] = {}
        self.waiting = 0
        """Requests without a result."""
        self.accepted: set[str] = set()
        """Requests that the present scheduler has accepted."""
        self.repeated = 0
        """Results that came again to a later process, which could not know them."""
        self._ended_s: dict[str, float] = {}
        self._handed_back: set[str] = set()
        """Requests whose scheduler stopped before their end: they take a new place in the order."""
        self._of: dict[str, list[Asked]] = {}
        self._grace_s = world.settings.session_grace_s
        self._in_order_grace_s = world.settings.in_order_grace_s
        self._troubles: dict[str, Trouble] = {}

    # ---- what the scheduler reports

    def job_submitted(self, job: Job) -> None:
        self.accepted.add(job.request_id)

    def job_ended(self, job: Job) -> None:
        self._ended_s[job.request_id] = self.env._now
        if job.reason == STOPPING:
            self._handed_back.add(job.request_id)

    def scheduler_built(self) -> None:
        """A new scheduler knows none of the jobs."""
        self.accepted.clear()

    # ---- faults

    def fault_began(self, kind: str, target: str) -> None:
        self.trouble(target).began(kind, self.env._now)

    def fault_healed(self, kind: str, target: str) -> None:
        self.trouble(target).healed(kind, self.env._now)

    def trouble(self, target: str) -> Trouble:
        """Return the faults of `target`: a client, `scheduler` or `store`."""
        trouble = self._troubles.get(target)
        if trouble is None:
            trouble = self._troubles[target] = Trouble()
        return trouble

    def well_from_s(self, client: str) -> float:
        """Return since when, or from when on, no fault is in the way of `client`; inf while one is."""
        well_from_s = float("-inf")
        for target in (client, "scheduler", "store"):
            trouble = self._troubles.get(target)
            if trouble is not None:
                if trouble.since_s is not None:
                    return float("inf")
                well_from_s = max(well_from_s, trouble.well_from_s)
        return well_from_s

    # ---- what the clients do and receive

    def asks(self, asked: Asked) -> None:
        """A client has a new request."""
        self.asked[asked.request_id] = asked
        self._of.setdefault(asked.client, []).append(asked)
        self.waiting += 1

    def of(self, client: str) -> list[Asked]:
        """Return the requests of `client` in their order."""
        return self._of.get(client, [])

    def received(self, asked: Asked, life: int, result: Any) -> None:
        """The process `life` of a client has received `result`: a result, or the exception of its submit."""
        if asked.is_answered and life > asked.received_by:
            self.repeated += 1  # the earlier process could die before its acknowledgement was sent
            return
        state = getattr(result, "state", None) or f"{type(result).__name__}: {result}"
        self.waiting -= not asked.is_answered
        asked.states.append(state)
        asked.received_by = life
        if len(asked.states) > 1:
            self.broke(f"{asked.request_id} got {len(asked.states)} results: {asked.states}")
        elif isinstance(result, Exception):
            self._check_error(asked, result)
        elif state == CANCELLED:
            self._check_cancelled(asked)
        elif state == COMPLETED:
            if result.output != {"job": result.job_id, "audio": asked.digest}:
                self.broke(f"{asked.request_id}, job {result.job_id}, got the output {result.output}")
            self._check_order(asked, life)
            self._check_time(asked)

    def _check_error(self, asked: Asked, error: Exception) -> None:
        is_unreachable = isinstance(error, SchedulerUnreachable) and self.well_from_s(asked.client) > self.env._now
        if not is_unreachable and not isinstance(error, SubmitRejected):
            self.broke(f"{asked.request_id} ended with {error!r}")

    def _check_cancelled(self, asked: Asked) -> None:
        is_gone = self.trouble(asked.client).longest_s >= ABSENT_SHARE * self._grace_s
        if not asked.may_be_cancelled and not is_gone:
            self.broke(f"{asked.request_id} was cancelled")

    def _check_order(self, asked: Asked, life: int) -> None:
        if not asked.in_order or life != asked.life:
            return
        of_this_life = [other for other in self.of(asked.client) if other.life == life]
        missing = [
            other
            for other in of_this_life
            if other.number < asked.number and not other.is_answered and other.request_id not in self._handed_back
        ]
        if not missing:
            return
        now_s, first = self.env._now, missing[0].number
        later = [other for other in of_this_life if other.number > first]
        waited_s = max(now_s - self._ended_s.get(other.request_id, now_s) for other in later)
        if waited_s < self._in_order_grace_s - 0.01:
            self.broke(f"{asked.request_id} overtook {missing[0].request_id}")

    def _check_time(self, asked: Asked) -> None:
        now_s = self.env._now
        since_s = max(self._ended_s.get(asked.request_id, now_s), self.well_from_s(asked.client))
        bound_s = LATE_S + (self._in_order_grace_s if asked.in_order else 0.0)
        if now_s - since_s > bound_s:
            self.broke(f"{asked.request_id} was received {now_s - since_s:.2f} s after its end")

    # ---- the end

    def at_end(self) -> None:
        """Every request has its result, and nothing of a request is left anywhere."""
        unanswered = [asked.request_id for asked in self.asked.values() if not asked.is_answered]
        self.expect(not unanswered, f"{len(unanswered)} requests never ended: {unanswered[:5]}")
        world: WireWorld = self.world  # type: ignore[assignment]
        for what, count in world.leftovers().items():
            self.expect(count == 0, f"{count} {what} are left")
