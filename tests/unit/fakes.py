"""A clock that is moved by hand, and records made short, for the tests of the pure parts."""

from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.script_queue import OnAnswer
from voxpool.scheduler.core.scripts import ScriptCall


class NoSelects:
    """What a script queue asks for select calls where no job waits."""

    wants_select = False

    def compose_select(self) -> tuple[ScriptCall, OnAnswer] | None:
        """Return none."""
        return None

    def store_restarted(self) -> None:
        """There is no node to register again."""


NO_SELECTS = NoSelects()


class HandClock:
    """Shows `ms`, and moves on by `ticks_ms` after each look."""

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
    """Set `job` to its end; the table is told by the caller."""
    job.state = COMPLETED
    job.ended_ms = now_ms
    return job
