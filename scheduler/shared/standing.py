"""A job as the store has it: by its record, and by the answer of lua/jobs/place.lua. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.core.jobs.job import DISPATCHED, Job
from voxpool.scheduler.core.jobs.reasons import SESSION_GONE
from voxpool.scheduler.core.jobs.waiting import Place, Standing
from voxpool.scheduler.shared.details import STATES, outcome_of
from voxpool.scheduler.shared.local import SharedJob
from voxpool.scheduler.shared.partition.calls import Record

WORDS = {"w": "waits", "b": "pauses", "t": "runs"}
"""The letter of a record -> what is said of its job; of all others that it has ended."""


def shown(job: SharedJob, record: Record, held: Job | None) -> Job:
    """Bring `job`, made of `record`, to the state that it has there. `held` is the attempt that a node here makes."""
    job.made = record.lost
    if record.state == "t":
        job.state = DISPATCHED
        job.made += 1
        if held is not None:
            job.node_id, job.dispatched_ms = held.node_id, held.dispatched_ms
    elif record.ended:
        outcome = outcome_of(record.outcome)
        job.state, job.ended_ms, job.reason, job.detail = (
            STATES[record.state],
            record.since_ms,
            SESSION_GONE if record.state == "g" else outcome.reason,
            outcome.detail,
        )
        job.node_id, job.dispatched_ms, job.output = outcome.node_id, outcome.dispatched_ms, outcome.output
        job.made = outcome.attempts or record.lost
    return job


def standing_of(record: Record, numbers: Sequence[str]) -> tuple[Standing, Place | None]:
    """Return what is told of a job; `numbers` are those behind its record in the answer."""
    standing = Standing(WORDS.get(record.state, "ended"), record.by)
    if not numbers:
        return standing, None
    before, line, higher, keys = map(int, numbers)
    standing.ahead, standing.waits_until_ms = before, int(record.until_ms)
    priority = record.turn.partition(".")[0]
    return standing, Place(int(priority), higher, keys, line) if priority else None
