"""A manual clock and short constructors of records, for the tests of the pure parts."""

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.script_queue import OnAnswer
from voxpool.scheduler.core.scripts import ScriptCall


class NoSelects:
    """Select calls of a script queue without waiting jobs."""

    wants_select = False

    def compose_select(self) -> tuple[ScriptCall, OnAnswer] | None:
        """Return none."""
        return None

    def store_restarted(self) -> None:
        """Do nothing: there is no node to register again."""


NO_SELECTS = NoSelects()


class HandClock:
    """A clock that shows `ms`, and advances by `ticks_ms` after each reading."""

    def __init__(self, ms: int = 0, ticks_ms: int = 0) -> None:
        self.ms = ms
        self.ticks_ms = ticks_ms

    def now_ms(self) -> int:
        now_ms = self.ms
        self.ms += self.ticks_ms
        return now_ms


def make_job(sequence: int, pair: str = "zh:en", audio: bytes = b"audio", now_ms: int = 0) -> Job:
    """Return a waiting job that is submit number `sequence`."""
    return Job(
        job_id=f"j-{sequence}",
        request_id=f"r-{sequence}",
        session_id="",
        pair=pair,
        sequence=sequence,
        submitted_ms=now_ms,
        waits_from_ms=now_ms,
        audio=audio,
        audio_bytes=len(audio),
    )


def complete(job: Job, now_ms: int) -> Job:
    """End `job`; the caller notifies the table."""
    job.state = COMPLETED
    job.ended_ms = now_ms
    return job
