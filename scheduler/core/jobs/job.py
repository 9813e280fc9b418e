"""The record of a job, its states with the table of their transitions, and the rules of its attempts.

Pure: the dispatcher moves it. What follows when an attempt fails or is lost is another one, at once or after a pause,
or none: by the settings attempts_max, backoff_s and backoff_max_s, which a submit may override for its job.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from voxpool.scheduler.config import PRIORITY, Settings, ms
from voxpool.scheduler.core.jobs.reasons import SESSION_GONE, end_is_retryable
from voxpool.scheduler.errors import IllegalTransition
from voxpool.scheduler.protocol.field_types import Times

NEW = "new"
WAITING = "waiting"
DISPATCHED = "dispatched"
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"
REMOVED = "removed"

SUBMITTED = "submitted"
REDISPATCHED = "redispatched"

TRANSITIONS: dict[str, dict[str, str]] = {
    NEW: {SUBMITTED: WAITING},
    WAITING: {DISPATCHED: DISPATCHED, FAILED: FAILED, CANCELLED: CANCELLED},
    DISPATCHED: {REDISPATCHED: WAITING, COMPLETED: COMPLETED, FAILED: FAILED, CANCELLED: CANCELLED},
    COMPLETED: {REMOVED: REMOVED},
    FAILED: {REMOVED: REMOVED},
    CANCELLED: {REMOVED: REMOVED},
    REMOVED: {},
}
"""State -> event -> the state that follows. An event that is not listed for a state can't happen in it.

A record begins as WAITING (NEW is before it) and is dropped when it is removed (REMOVED is after it).
"""

ERROR, BUSY, TIMEOUT = "error", "busy", "timeout"
ANSWERS = frozenset({BUSY, ERROR})
"""Reasons of a redispatch that the node itself gave; for the others it receives a cancel."""
LOSSES = {
    TIMEOUT: "no answer within dispatch_timeout_s",
    "closed": "the connection of the node closed",
    "lapsed": "the lease of the node ended",
    "assign_lost": "the node did not receive the job",
    "reregistered": "the node registered again without the job",
}
"""What people read of an attempt that was lost."""

HASH_MASK = 2**60 - 1
FINAL_STATES = frozenset(state for state, events in TRANSITIONS.items() if REMOVED in events)
"""Those in which a job stays until its retention is over."""


class Share(NamedTuple):
    """Whose part of the slots a job takes, and how urgent it is (fair.py)."""

    priority: int
    """1 to 5; 1 comes first."""
    key: str
    """The name of the token, or name/key for one that may name the keys of others."""
    weight: float


EQUAL = Share(PRIORITY, "", 1.0)
"""The share of a job whose submit and token say nothing of it."""


def key_of(owner: str, name: str) -> str:
    """Return the key of the request or session `name` of `owner`; neither contains a slash."""
    return f"{owner}/{name}" if owner else name


class RetryLimits(msgspec.Struct, frozen=True, gc=False):
    """How often and how soon a job is tried; most jobs share the one of the settings."""

    attempts_max: int
    """Attempts that may fail or be lost before the job fails."""
    backoff_ms: int
    """The pause after its first attempt that a worker answered with an error; it doubles with each."""


ONE_ATTEMPT = RetryLimits(1, 0)


def hash_of(audio: bytes) -> int:
    """Return 60 bits of Python's hash of `audio`, which is keyed anew in each process.

    It takes 7 us for 10 kB (blake2b: 20 to 70 us), and 16 bytes less than with all of its bits.
    """
    return hash(audio) & HASH_MASK


class Job(msgspec.Struct, gc=False, eq=False, weakref=False):
    """One job. Times are int ms of the scheduler's clock; 0 where it has not happened yet.

    `gc=False`: a job refers to strings, numbers, its limits and the decoded output only, never to another job or a
    node, so it can't be part of a cycle, and the collector needn't visit millions of finished jobs.
    """

    job_id: str
    request_id: str
    session_id: str
    pair: str
    sequence: int
    """The number of its submit; kept over redispatches."""
    submitted_ms: int
    audio: bytes | None
    audio_bytes: int
    """The length of the audio; stays when the audio is freed."""
    audio_hash: int = 0
    """The hash of the audio (hash_of); it stays, too, and detects other audio under the same request id."""
    expires_ms: int = 0
    """When the client no longer wants the result, whatever the state; 0 = never."""
    waits_from_ms: int = 0
    """From when the waiting timeout counts: the submit, the last redispatch that was counted, or the end of the
    back-off after it."""
    limits: RetryLimits = ONE_ATTEMPT
    backoff_until_ms: int = 0
    """When the job is to be queued again; 0 = it is not in back-off."""
    affinity: bool = False
    """Prefer the node that took the session's last job."""
    state: str = WAITING
    attempt: int = 0
    """The number of the last allocation: the fence that every message about the job carries."""
    queued: bool = False
    """Whether it stands in a waiting queue; a waiting job that doesn't is on its way to the store."""
    redispatches: int = 0
    deadline_ms: int = 0
    """When the present state (waiting, in back-off or dispatched) ends by itself."""
    node_id: str = ""
    owner: str = ""
    """The name of the token that submitted it; request and session ids are a space an owner."""
    avoid: tuple[str, ...] = ()
    """Nodes that failed this job, the last three; another is tried first."""
    dispatched_ms: int = 0
    ended_ms: int = 0
    reason: str = ""
    """Why it failed or was cancelled; a stable snake_case word (reasons.py)."""
    detail: str = ""
    """What a reader needs beside the reason, such as `ValueError: no such speaker`; bounded."""
    output: Any = None
    share: Share | None = None
    """None when the order of the waiting jobs is that of their submits, and when the job has ended."""
    trace: str = ""
    """Its traceparent (trace_context.py): that of its client, later that of the span that works on it; "" = none."""

    def move(self, event: str) -> None:
        """Bring it to the state that follows `event` (TRANSITIONS). Raises IllegalTransition and changes nothing."""
        try:
            self.state = TRANSITIONS[self.state][event]
        except KeyError:
            raise IllegalTransition(f"{self!r} can't be {event}") from None

    @property
    def ended(self) -> bool:
        """Whether the job has reached a final state."""
        return self.state in FINAL_STATES

    @property
    def tries(self) -> int:
        """How many attempts were made, the present one included. Their numbers have no gaps here."""
        return self.attempt

    @property
    def attempts_left(self) -> bool:
        """Whether it may be tried again: fewer attempts than attempts_max failed or were lost."""
        return self.redispatches < self.limits.attempts_max

    @property
    def retryable(self) -> bool:
        """Whether it failed or was given up, and may succeed when it is submitted again unchanged."""
        return bool(self.reason) and self.ended and end_is_retryable(self.reason)

    @property
    def begins_anew(self) -> bool:
        """Whether its request id, submitted again, is a new job: it failed before it was sent to any node, or it was
        given up with its session.
        """
        return self.reason == SESSION_GONE or (self.state == FAILED and not self.dispatched_ms)

    @property
    def times_ms(self) -> Times:
        """How long it waited (until its last dispatch), was with its node, and took in all, once it has ended."""
        dispatched_ms = self.dispatched_ms or self.ended_ms
        return Times(
            waiting=dispatched_ms - self.submitted_ms,
            dispatched=self.ended_ms - dispatched_ms,
            total=self.ended_ms - self.submitted_ms,
        )

    def is_other_audio(self, audio: bytes) -> bool:
        """Return whether `audio` is not what this job was submitted with."""
        return self.audio_bytes != len(audio) or self.audio_hash != hash_of(audio)

    @property
    def request_key(self) -> str:
        """Its request id among those of all owners."""
        return key_of(self.owner, self.request_id)

    @property
    def session_key(self) -> str:
        """Its session id among those of all owners; "" when it has none."""
        return key_of(self.owner, self.session_id) if self.session_id else ""

    @property
    def reservation(self) -> str:
        """The name of the present attempt's reservation in the store: job|attempt."""
        return f"{self.job_id}|{self.attempt}"

    def __repr__(self) -> str:
        where = f" on {self.node_id}" if self.state == DISPATCHED else ""
        why = f" ({self.reason})" if self.reason else ""
        return f"<job {self.job_id} {self.pair} {self.state}{why} attempt {self.attempt}{where}>"


class Retries:
    """Counts the attempts of jobs and sets their back-off."""

    def __init__(self, settings: Settings) -> None:
        self._usual = RetryLimits(settings.attempts_max, ms(settings.backoff_s))
        self._backoff_max_ms = ms(settings.backoff_max_s)

    def limits(self, attempts_max: int | None, backoff_ms: int | None) -> RetryLimits:
        """Return the limits of a new job with these wishes; None = the value of the settings."""
        if attempts_max is None and backoff_ms is None:
            return self._usual
        usual = self._usual
        return RetryLimits(
            usual.attempts_max if attempts_max is None else attempts_max,
            usual.backoff_ms if backoff_ms is None else backoff_ms,
        )

    def count(self, job: Job, reason: str, detail: str, now_ms: int) -> None:
        """Count an attempt of `job` that failed or was lost for `reason`; `detail` describes an error.

        After an error, which the node itself answered, the job pauses until `backoff_until_ms`: twice as long each
        time, up to backoff_max_s, and not after its last attempt. The waiting timeout counts from the end of the
        pause. An attempt that was lost costs no pause: another node may succeed at once.
        """
        job.redispatches += 1
        job.detail = detail or LOSSES.get(reason, reason)
        if reason == ERROR and job.attempts_left:
            pause_ms = min(job.limits.backoff_ms << job.redispatches - 1, self._backoff_max_ms)
            job.backoff_until_ms = now_ms + pause_ms if pause_ms else 0
        job.waits_from_ms = job.backoff_until_ms or now_ms
