"""Jobs and nodes as HTTP shows them: pure translations of records into the answers of protocol/."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import FAILED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.answers import JobView, NodeView


def job_view(job: Job, with_output: bool = True) -> JobView:
    """Return `job` for HTTP; in lists without its output, which may be large."""
    return JobView(
        job_id=job.job_id,
        request_id=job.request_id,
        state=job.state,
        pair=job.pair,
        attempts=job.tries,
        submitted_ms=job.submitted_ms,
        session_id=job.session_id,
        node_id=job.node_id,
        dispatched_ms=job.dispatched_ms if job.node_id else 0,
        times_ms=job.times_ms if job.ended else None,
        output=job.output if with_output else None,
        error=job.reason or None,
        detail=job.detail,
        retryable=job.retryable if job.state == FAILED else None,
        backoff_until_ms=job.backoff_until_ms,
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
