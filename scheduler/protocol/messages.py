"""The records that clients, nodes and the scheduler exchange (interfaces.md), independent of how they are encoded.

Each is one JSON or MessagePack object with its `type`; unknown fields are ignored, so that older meets newer.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from voxpool.scheduler.config import ATTEMPTS_LIMIT, BACKOFF_MS_LIMIT

PROTOCOL = 1
NUMBER_MAX = 10**15
"""The largest number of a message; JSON may hold one of any length."""
TIMEOUT_MS_MAX = 24 * 3600 * 1000
"""The longest time-out of a job that a client may ask for."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
"""A node, process, job, request or session id."""
Pair = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,16}:[a-z0-9-]{1,16}\Z")]
"""A language pair, source:target."""
Attempt = Annotated[int, msgspec.Meta(ge=1, le=NUMBER_MAX)]
Slots = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Running = Annotated[list[tuple[Name, Attempt]], msgspec.Meta(max_length=1000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
Protocol = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""The number of a result in its session; the first one has 1."""


class _Message(msgspec.Struct, tag_field="type", tag=str.lower, omit_defaults=True):
    """Base of all messages: the tag is the class's name in lower case."""


class _Greeting(_Message):
    """Base of the messages that may carry a token: it is left out wherever they are shown."""

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "token"]
        return f"{type(self).__name__}({', '.join(shown)})"


# ---- client -> scheduler


class Hello(_Greeting):
    """The first message of a client (docs/sessions.md)."""

    protocol: Protocol = PROTOCOL
    session_id: Name | None = None
    token: str | None = None
    resume: bool = False
    """Send what an earlier connection of this session was not sent, or has not acknowledged."""
    acks: bool = False
    """This client acknowledges results: each is kept until then. Else a result that was sent counts as received."""
    generation: Name | None = None
    """With `ack`: the generation that the numbers of this client belong to; those of another one are ignored."""
    ack: Number = 0
    patience_ms: Milliseconds | None = None
    """How long this client tries to come back when its connection breaks; it is granted session_grace_s at most."""
    in_order: bool = False
    """Send the results in the order of the submits. One that came too soon is held back for `in_order_grace_s` at most;
    what was missing before it comes later, out of order."""


class Submit(_Message):
    request_id: Name
    pair: Pair
    audio: bytes
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=TIMEOUT_MS_MAX)] | None = None
    session_affinity: bool = False
    why: bool = False
    """Keep why this job goes where it goes: GET /v1/jobs/{id}/why tells."""
    trace: str | None = None
    """The traceparent (W3C) of the span that the job belongs to; one that is none is ignored."""
    attempts_max: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_LIMIT)] | None = None
    """Attempts that may fail or be lost before the job fails, in place of the scheduler's setting."""
    backoff_ms: Annotated[int, msgspec.Meta(ge=0, le=BACKOFF_MS_LIMIT)] | None = None
    """The pause after the first attempt that a worker answered with an error, in place of the scheduler's setting."""
    ack: Number = 0
    """As the message `ack`: what a client that acknowledges had when it submitted, so that a result which it asks for
    once more is sent once more."""


class CancelJob(_Message, tag="cancel"):
    job_id: Name


class Ack(_Message):
    """This client has handled all results up to `number`."""

    number: Number


FromClient = Hello | Submit | CancelJob | Ack


# ---- scheduler -> client


class Welcome(_Message):
    session_id: str
    limits: dict[str, int]
    protocol: int = PROTOCOL
    cut_off: str | None = None
    """Why the scheduler cut off the last connection of this session, if it did: takes_nothing, no_pong …"""
    generation: str = ""
    """What the numbers of results belong to; another one than before: the session was forgotten, they begin at 1."""


class Accepted(_Message):
    request_id: str
    job_id: str


class RejectedSubmit(_Message, tag="rejected"):
    request_id: str
    reason: str
    retry_after_ms: int | None = None
    detail: str = ""


class Times(msgspec.Struct):
    """Durations in ms: until the last dispatch, from there to the end, and in all."""

    waiting: int
    dispatched: int
    total: int


class JobResult(_Message, tag="result"):
    """What a client gets when its job ended; `state` is completed, failed or cancelled."""

    job_id: str
    request_id: str
    state: str
    attempts: int
    times_ms: Times
    output: Any = None
    error: str | None = None
    """Why it did not complete, a stable word (reasons.py)."""
    detail: str = ""
    """What people should know beside `error`."""
    retryable: bool = False
    """Whether it failed, and may succeed when it is submitted again unchanged."""
    number: int | None = None
    """Its number in the session, which rises by one with each result: what an `ack` names."""


class Error(_Message):
    """With `retry_after_ms` the same may work then; without it is of no use to try again."""

    reason: str
    detail: str
    retry_after_ms: int | None = None


ToClient = Welcome | Accepted | RejectedSubmit | JobResult | Error


# ---- node -> scheduler


class Register(_Greeting):
    node_id: Name
    process_id: Name
    pairs: Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=256)]
    slots: Slots
    running: Running
    protocol: Protocol = PROTOCOL
    version: str = ""
    token: str | None = None
    now_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    """The node's clock, so that one that is wrong is found; nothing else depends on it."""


class Heartbeat(_Message):
    running: Running
    load: float | None = None


class WorkError(msgspec.Struct):
    """Why an attempt failed. `reason` is a stable snake_case word, `detail` a text for people (error_text.py)."""

    reason: str
    retryable: bool = False
    detail: str = ""


class NodeResult(_Message, tag="result"):
    """Exactly one of `output`, `error` and `busy` is meant; an output may be any JSON value, None included."""

    job_id: Name
    attempt: Attempt
    output: Any = None
    error: WorkError | None = None
    busy: bool = False
    trace: str | None = None
    """The traceparent of the span that did the work, or the one that came with the assign."""


class Drain(_Message):
    on: bool


FromNode = Register | Heartbeat | NodeResult | Drain


# ---- scheduler -> node


class Registered(_Message):
    generation: str
    heartbeat_ms: int
    lease_ms: int
    cut_off: str | None = None
    """Why the scheduler cut off the last connection of this node, if it did: takes_nothing, no_pong …"""
    output_bytes_max: int | None = None
    """The largest output, in bytes of JSON. A message above twice that and 64 KiB closes the connection (1009)."""


class Assign(_Message):
    """`deadline_ms` is how long the scheduler waits for the result, counted from the sending.

    `trace` is the traceparent that the work belongs under; a node sends it back with the result.
    """

    job_id: str
    attempt: int
    pair: str
    audio: bytes
    deadline_ms: int
    session_id: str | None = None
    trace: str | None = None


class CancelAttempt(_Message, tag="cancel"):
    job_id: str
    attempt: int


class Reregister(_Message):
    reason: str


ToNode = Registered | Assign | CancelAttempt | Reregister | Error
