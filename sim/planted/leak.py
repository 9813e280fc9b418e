"""A planted leak, to prove that the verdict finds one: each finished job leaks a chosen number of bytes."""

from __future__ import annotations

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import JobTable

OBJECT_BYTES = 64
"""Size of a tuple of three in CPython 3.11 and 3.13: 16 for the collector, 24 for the header, 8 per entry."""


class LeakyTable(JobTable):
    """A table that loses `leaked_bytes_a_job` bytes with each job that ends, in objects of OBJECT_BYTES."""

    leaked_bytes_a_job = 0.0

    def __init__(self, jobs_max: int, audio_total_bytes_max: int, finished_max: int, retry_after_ms: int) -> None:
        super().__init__(jobs_max, audio_total_bytes_max, finished_max, retry_after_ms)
        self._debt = 0.0
        self._chain: tuple[object, ...] | None = None

    def finish(self, job: Job) -> list[Job]:
        self._debt += self.leaked_bytes_a_job
        while self._debt >= OBJECT_BYTES:
            self._debt -= OBJECT_BYTES
            self._chain = (self._chain, None, None)
        return super().finish(job)


def leaking(bytes_a_job: float) -> type[JobTable]:
    """Return the class of a job table that leaks `bytes_a_job` bytes per job; production's class for 0."""
    if not bytes_a_job:
        return JobTable
    return type(f"Leaks{bytes_a_job:g}", (LeakyTable,), {"leaked_bytes_a_job": bytes_a_job})
