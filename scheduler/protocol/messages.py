"""The messages that clients, nodes and the scheduler exchange, independent of how they are encoded.

Each is one JSON or MessagePack object with its `type`; unknown fields are ignored, so that versions can be mixed. The
texts below the fields are the reference: `python -m reference` writes them into docs/protocol.md.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from voxpool.scheduler.config import ATTEMPTS_LIMIT, BACKOFF_MS_LIMIT, PRIORITY_MAX
from voxpool.scheduler.protocol.field_types import (
    TIMEOUT_MS_MAX,
    Attempt,
    Milliseconds,
    Name,
    Number,
    Pair,
    Protocol,
    Running,
    Slots,
    Times,
)
from voxpool.scheduler.protocol.message_base import Greeting, Message

PROTOCOL = 1


# ---- client -> scheduler


class Hello(Greeting):
    """The first message of a client on each connection; the scheduler answers `welcome`, or `error` and a close."""

    protocol: Protocol = PROTOCOL
    """The version of the protocol."""
    session_id: Name | None = None
    """The session to open or to resume; without it the scheduler makes a new one and names it in `welcome`."""
    token: str | None = None
    """The client's token, in place of the header `Authorization` of the handshake."""
    resume: bool = False
    """Send the results that an earlier connection of this session was not sent, or has not acknowledged."""
    acks: bool = False
    """This client acknowledges results, and each is kept until it does; else a result counts as received once sent."""
    generation: Name | None = None
    """The generation of the last `welcome`, to which `ack` refers. Not the session's: it was elsewhere since."""
    ack: Number = 0
    """The number of the last result that this client has handled; 0 = none."""
    patience_ms: Milliseconds | None = None
    """How long the session is kept when this connection breaks, session_grace_s at most; without it that time."""
    in_order: bool = False
    """Send results in the order of the submits. One that is too early is held back for in_order_grace_s at most;
    the results that were missing before it are sent later, out of order."""


class Submit(Message):
    """Asks for one job; the scheduler answers `accepted` or `rejected`, and after `accepted` sends the `result`."""

    request_id: Name
    """The client's own id of this request. The same id submitted again means the same job: a submit can be repeated."""
    pair: Pair
    """The language pair of the audio."""
    audio: bytes
    """A WAV file (RIFF/WAVE), `audio_bytes_max` bytes at most: base64 in JSON, bin in MessagePack."""
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=TIMEOUT_MS_MAX)] | None = None
    """After this time, waiting and work together, the job fails with `expired`."""
    session_affinity: bool = False
    """Prefer the node that got the last such job of this session."""
    why: bool = False
    """Keep the decisions about this job for GET /v1/jobs/{job_id}/why."""
    trace: str | None = None
    """The W3C traceparent of the span that the job belongs to; an invalid one is ignored."""
    attempts_max: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_LIMIT)] | None = None
    """How many attempts may fail or be lost before the job fails, in place of the setting attempts_max."""
    backoff_ms: Annotated[int, msgspec.Meta(ge=0, le=BACKOFF_MS_LIMIT)] | None = None
    """The pause after the first attempt that a worker answered with an error, in place of the setting backoff_s."""
    priority: Annotated[int, msgspec.Meta(ge=1, le=PRIORITY_MAX)] | None = None
    """1 comes first, 3 is the default; it counts when the setting order is `fair`. A token may have a least number."""
    key: Name | None = None
    """Whose turn the job takes below its token, when the setting order is `fair`; for tokens that may name keys."""
    partials: bool = False
    """Send what a worker knows of the output before the job ends, as messages `partial`."""
    ack: Number = 0
    """As the message `ack`, handled before the submit; 0 = nothing new is acknowledged."""


class CancelJob(Message, tag="cancel"):
    """Cancels a job of this session that has not ended; its `result` then has the state cancelled."""

    job_id: Name
    """The id from `accepted`."""


class Ack(Message):
    """Acknowledges results."""

    number: Number
    """This client has handled all results up to this number."""


FromClient = Hello | Submit | CancelJob | Ack


# ---- scheduler -> client


class Welcome(Message):
    """The answer to `hello`: the session is open on this connection."""

    session_id: str
    """The id of the session, for the `hello` of the next connection."""
    limits: dict[str, int]
    """`audio_bytes_max`, `output_bytes_max`, `session_grace_ms` (how long this session is kept without a connection)
    and `unacknowledged_max`."""
    protocol: int = PROTOCOL
    """The version of the protocol."""
    cut_off: str | None = None
    """Why the scheduler cut off the last connection of this session, if it did."""
    generation: str = ""
    """What the numbers of results belong to. A new one means that the session began anew, with number 1."""


class Accepted(Message):
    """The submit is a job, new or known; a `result` follows."""

    request_id: str
    """The id from the submit."""
    job_id: str
    """The scheduler's id of the job."""


class RejectedSubmit(Message, tag="rejected"):
    """The submit is not a job. A job that was accepted is rejected later only when the scheduler stops."""

    request_id: str
    """The id from the submit."""
    reason: str
    """A stable word."""
    retry_after_ms: int | None = None
    """When to submit the same again; absent: it would be rejected again."""
    detail: str = ""
    """A text for people."""


class JobResult(Message, tag="result"):
    """The job ended."""

    job_id: str
    """The id from `accepted`."""
    request_id: str
    """The id from the submit."""
    state: str
    """`completed`, `failed` or `cancelled`."""
    attempts: int
    """The number of the last attempt; numbers may be skipped."""
    times_ms: Times
    """How long it waited and was worked on."""
    output: Any = None
    """What the worker answered: any JSON value; null unless completed."""
    error: str | None = None
    """Why it did not complete, a stable word; absent when it completed."""
    detail: str = ""
    """A text for people beside `error`."""
    retryable: bool = False
    """It did not complete, and may when it is submitted again unchanged."""
    number: int | None = None
    """Its number in the session, which rises with each result: what an `ack` names."""


class Partial(Message):
    """What the worker knows so far of the output. It replaces the partials before it; any of them may be missing."""

    request_id: str
    """The id from the submit."""
    job_id: str
    """The id from `accepted`."""
    attempt: int
    """The number of the attempt; a later attempt begins anew and replaces what came from an earlier one."""
    n: int
    """The number that the worker gave to it: 0, 1, … in each attempt; numbers may be skipped."""
    output: Any = None
    """Any JSON value."""


class Error(Message):
    """The connection is refused, or a message could not be used."""

    reason: str
    """A stable word."""
    detail: str
    """A text for people."""
    retry_after_ms: int | None = None
    """When to connect again, where the scheduler knows it."""


ToClient = Welcome | Accepted | RejectedSubmit | JobResult | Partial | Error


# ---- node -> scheduler


class Register(Greeting):
    """The first message of a node on each connection, and the answer to `reregister`."""

    node_id: Name
    """The name of the node, unique in the fleet and the same after a restart."""
    process_id: Name
    """A random id that each process of the node makes once: it separates a reconnect from a second process."""
    pairs: Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=256)]
    """The language pairs that the node serves."""
    slots: Slots
    """How many jobs it works on at the same time."""
    running: Running
    """The attempts that it was assigned and has not answered, each as [job_id, attempt]."""
    protocol: Protocol = PROTOCOL
    """The version of the protocol."""
    version: str = ""
    """The version of the worker's software, for people."""
    token: str | None = None
    """The node's token, in place of the header `Authorization` of the handshake."""
    now_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    """The node's clock, ms since 1970, so that a wrong one is found; nothing else depends on it."""


class Heartbeat(Message):
    """Renews the lease of the node, every `heartbeat_ms`."""

    running: Running
    """The attempts that it was assigned and has not answered, each as [job_id, attempt]."""
    load: float | None = None
    """The share of its slots that are in use; the scheduler does not use it yet."""


class WorkError(msgspec.Struct):
    """Why an attempt failed."""

    reason: str
    """A stable word of a-z 0-9 _, 64 characters at most."""
    retryable: bool = False
    """Try again, on another node if there is one; else the job fails now."""
    detail: str = ""
    """A text for people; the scheduler keeps 500 characters."""


class NodeResult(Message, tag="result"):
    """The answer to an `assign`: an `output`, an `error`, or `busy`."""

    job_id: Name
    """From the `assign`."""
    attempt: Attempt
    """From the `assign`."""
    output: Any = None
    """The output of the job, any JSON value; without `error` and `busy` the job completes with it, also with null."""
    error: WorkError | None = None
    """Why the attempt failed."""
    busy: bool = False
    """The node has no free slot or drains: the job goes elsewhere, and no attempt is counted."""
    trace: str | None = None
    """The traceparent of the span that did the work, or the one that came with the assign."""


class NodePartial(Message, tag="partial"):
    """What is known so far of the output of an `assign` with `partials`. It is passed on or dropped, not answered."""

    job_id: Name
    """From the `assign`."""
    attempt: Attempt
    """From the `assign`."""
    n: Number
    """0 for the first partial of the attempt, then rising."""
    output: Any = None
    """Any JSON value of at most `output_bytes_max`; it replaces the partials before it."""


class Drain(Message):
    """Asks for no new jobs, or for jobs again."""

    on: bool
    """True = no new jobs; the node keeps those that it has."""


FromNode = Register | Heartbeat | NodeResult | NodePartial | Drain


# ---- scheduler -> node


class Registered(Message):
    """The node is in the fleet. It is sent again whenever the scheduler registers the node anew with its store."""

    generation: str
    """Names this registration; for logs only."""
    heartbeat_ms: int
    """The time between two heartbeats."""
    lease_ms: int
    """A node that was silent for this time counts as dead."""
    cut_off: str | None = None
    """Why the scheduler cut off the last connection of this node, if it did."""
    output_bytes_max: int | None = None
    """The largest output, in bytes of JSON."""


class Assign(Message):
    """Work for one slot."""

    job_id: str
    """The id of the job."""
    attempt: int
    """The number of this attempt; job id and attempt together name the work."""
    pair: str
    """One of the node's pairs."""
    audio: bytes
    """The WAV file: base64 in JSON, bin in MessagePack."""
    deadline_ms: int
    """How long the scheduler waits for the result, from the sending of this message."""
    session_id: str | None = None
    """The session of the job's client, to keep what belongs together: its id, after the token's name and a slash."""
    trace: str | None = None
    """The traceparent that the work belongs under; the node returns it or its child with the result."""
    partials: bool = False
    """A client wants `partial` messages of this attempt; without it they are dropped."""


class CancelAttempt(Message, tag="cancel"):
    """Stop this attempt and send no result for it."""

    job_id: str
    """From the `assign`."""
    attempt: int
    """From the `assign`."""


class Reregister(Message):
    """Send `register` again, over this connection."""

    reason: str
    """`lease_ended`."""


ToNode = Registered | Assign | CancelAttempt | Reregister | Error
