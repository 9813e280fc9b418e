"""Jobs and nodes as clients see them: pure translations of records into messages and JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.job import FAILED, Job
from voxpool.scheduler.messages import JobResult, Times
from voxpool.scheduler.node import Node

WAV_HEAD_BYTES = 12


class JobView(msgspec.Struct, omit_defaults=True):
    """A job in the answers of HTTP. `times_ms` stands there when it has ended.

    `error` says why it did not complete, `detail` what people should know beside that, and `retryable`, only of a job
    that failed, whether the same may succeed when it is submitted again.

    A job in back-off is queued again at `backoff_until_ms`; `detail` of an unfinished one says why its last attempt
    failed.

    `dispatched_ms` is when it was sent to `node_id`, as long as that one has it, or where it ended.
    """

    job_id: str
    request_id: str
    state: str
    pair: str
    attempts: int
    submitted_ms: int
    session_id: str = ""
    node_id: str = ""
    dispatched_ms: int = 0
    times_ms: Times | None = None
    output: Any = None
    error: str | None = None
    detail: str = ""
    retryable: bool | None = None
    backoff_until_ms: int = 0


class JobPage(msgspec.Struct):
    """Some of the jobs, newest first, without outputs; `next_cursor` asks for older ones, also of a short page."""

    jobs: list[JobView]
    total: int
    next_cursor: str | None


class NodeView(msgspec.Struct):
    """A node in the answers of HTTP. `state` is joining, ready, draining or resting.

    `clock_ahead_ms` is its clock less the scheduler's when it registered (below 0: it is behind).
    """

    node_id: str
    state: str
    pairs: tuple[str, ...]
    slots: int
    running: int
    generation: str
    seen_ms: int
    clock_ahead_ms: int = 0


class PoolView(msgspec.Struct):
    """The nodes of one pair together, and the jobs that wait for them."""

    pair: str
    nodes: int = 0
    slots: int = 0
    running: int = 0
    waiting: int = 0


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of an error in HTTP (RFC 9457). `reason` is the stable word, as in the messages of WebSockets.

    What is `retryable` may be taken when it is sent again after `retry_after_ms`; anything else won't.
    """

    type: str
    title: str
    status: int
    detail: str
    reason: str
    retryable: bool
    instance: str | None = None
    retry_after_ms: int | None = None


def check_audio(audio: bytes, bytes_max: int) -> None:
    """Make sure that `audio` can be a WAV of at most `bytes_max` bytes; what is in it is the engine's business.

    Raises BadInput: empty_audio, audio_too_large, not_audio.
    """
    if not audio:
        raise BadInput("empty_audio", "there is no audio; send a WAV file (RIFF/WAVE)")
    if len(audio) > bytes_max:
        detail = f"{len(audio)} bytes of audio are above audio_bytes_max = {bytes_max}; cut it into shorter pieces"
        raise BadInput("audio_too_large", detail)
    if len(audio) < WAV_HEAD_BYTES or audio[:4] != b"RIFF" or audio[8:WAV_HEAD_BYTES] != b"WAVE":
        raise BadInput("not_audio", "this is not a WAV file (RIFF/WAVE), the one kind of audio that is taken")


def as_rejection(error: BadInput) -> Rejected:
    """Return the refusal of a submit because of `error`; trying the same again is of no use."""
    return Rejected(error.reason, error.detail)


def job_result(job: Job, number: int | None = None) -> JobResult:
    """Return the message that tells a client of the end of `job`."""
    return JobResult(
        job_id=job.job_id,
        request_id=job.request_id,
        state=job.state,
        attempts=job.attempt,
        times_ms=times(job),
        output=job.output,
        error=job.reason or None,
        detail=job.detail,
        retryable=job.retryable,
        number=number,
    )


def job_view(job: Job, with_output: bool = True) -> JobView:
    """Return `job` as HTTP shows it; in lists without its output, which may be large."""
    return JobView(
        job_id=job.job_id,
        request_id=job.request_id,
        state=job.state,
        pair=job.pair,
        attempts=job.attempt,
        submitted_ms=job.submitted_ms,
        session_id=job.session_id,
        node_id=job.node_id,
        dispatched_ms=job.dispatched_ms if job.node_id else 0,
        times_ms=times(job) if job.ended else None,
        output=job.output if with_output else None,
        error=job.reason or None,
        detail=job.detail,
        retryable=job.retryable if job.state == FAILED else None,
        backoff_until_ms=job.backoff_until_ms,
    )


def times(job: Job) -> Times:
    """Return how long an ended `job` waited (until its last dispatch), was with its node, and took in all."""
    dispatched_ms = job.dispatched_ms or job.ended_ms
    return Times(
        waiting=dispatched_ms - job.submitted_ms,
        dispatched=job.ended_ms - dispatched_ms,
        total=job.ended_ms - job.submitted_ms,
    )


def node_view(node: Node) -> NodeView:
    """Return `node` as HTTP shows it."""
    return NodeView(
        node_id=node.node_id,
        state=node.state,
        pairs=node.pairs,
        slots=node.slots,
        running=len(node.holds),
        generation=node.generation,
        seen_ms=node.seen_ms,
        clock_ahead_ms=node.clock_ahead_ms,
    )
