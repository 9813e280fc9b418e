"""Jobs and nodes as clients see them: pure translations of records into the messages and answers of protocol/."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import FAILED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.errors import BadInput, Rejected
from voxpool.scheduler.protocol.answers import JobView, NodeView
from voxpool.scheduler.protocol.messages import JobResult, Times

WAV_HEAD_BYTES = 12


def check_audio(audio: bytes, bytes_max: int) -> None:
    """Make sure that `audio` can be a WAV of at most `bytes_max` bytes; the engine checks its contents.

    Raises BadInput: empty_audio, audio_too_large, not_audio.
    """
    if not audio:
        raise BadInput("empty_audio", "there is no audio; send a WAV file (RIFF/WAVE)")
    if len(audio) > bytes_max:
        detail = f"{len(audio)} bytes of audio are above audio_bytes_max = {bytes_max}; cut it into shorter pieces"
        raise BadInput("audio_too_large", detail)
    if len(audio) < WAV_HEAD_BYTES or audio[:4] != b"RIFF" or audio[8:WAV_HEAD_BYTES] != b"WAVE":
        raise BadInput("not_audio", "this is not a WAV file (RIFF/WAVE), the one kind of audio that is accepted")


def as_rejection(error: BadInput) -> Rejected:
    """Return the refusal of a submit because of `error`; it will be refused again."""
    return Rejected(error.reason, error.detail)


def job_result(job: Job, number: int | None = None) -> JobResult:
    """Return the message about the end of `job` for a client."""
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
    """Return `job` for HTTP; in lists without its output, which may be large."""
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
    """Return `node` for HTTP."""
    return NodeView(
        node_id=node.node_id,
        state=node.state,
        pairs=node.pairs,
        slots=node.slots,
        running=len(node.reservations),
        generation=node.generation,
        seen_ms=node.seen_ms,
        clock_ahead_ms=node.clock_ahead_ms,
    )
