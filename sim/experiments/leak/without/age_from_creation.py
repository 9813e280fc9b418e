"""M2: the age of a finished job counts from its creation, so a long one is removed as soon as it ends."""

from __future__ import annotations

import heapq

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import JobTable, shard_of


class AgeFromCreation(JobTable):
    """A table whose clean-up uses the submit time of jobs."""

    def __init__(self, jobs_max: int, audio_total_bytes_max: int, finished_max: int, retry_after_ms: int) -> None:
        super().__init__(jobs_max, audio_total_bytes_max, finished_max, retry_after_ms)
        self._by_creation: list[tuple[int, int, Job]] = []

    def finish(self, job: Job) -> list[Job]:
        self.unfinished -= 1
        self.finished += 1
        self.free_audio(job)
        heapq.heappush(self._by_creation, (job.submitted_ms, job.sequence, job))
        return []

    def remove_ended_before(self, before_ms: int) -> Job | None:
        if not self._by_creation or self._by_creation[0][0] >= before_ms:
            return None
        job = heapq.heappop(self._by_creation)[2]
        self.finished -= 1
        del self._by_id[shard_of(job.job_id)][job.job_id]
        del self._by_request[shard_of(job.request_id)][job.request_id]
        return job
