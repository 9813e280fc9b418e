"""The table of jobs: every job that was accepted and not yet forgotten, with the bounds on their number and bytes.

It knows nothing of nodes, scripts or clients.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from zlib import crc32

from voxpool.scheduler.core.jobs.job import Job, key_of
from voxpool.scheduler.errors import Rejected

SHARDS = 256
"""Dicts that the table is cut into: growing a single dict of millions of entries stops the loop for 0.4 s."""
BLOCK = 256
"""Finished jobs a sealed tuple; the collector stops visiting a tuple that holds nothing but untracked things."""


class JobTable:
    """All jobs by id and by request id, and the finished ones in the order of their end.

    `jobs_max` bounds the unfinished jobs, `audio_total_bytes_max` their audio in bytes, `finished_max` the finished
    jobs (0 = no bound; past it the oldest goes and `evicted` counts it).
    """

    def __init__(self, jobs_max: int, audio_total_bytes_max: int, finished_max: int, retry_after_ms: int) -> None:
        self.jobs_max = jobs_max
        self.audio_total_bytes_max = audio_total_bytes_max
        self.finished_max = finished_max
        self.retry_after_ms = retry_after_ms
        self.unfinished = 0
        self.finished = 0
        self.evicted = 0
        self.begun_anew = 0
        """Jobs in the table whose request id belongs to a newer job."""
        self.audio_bytes = 0
        self._by_id: list[dict[str, Job]] = [{} for _ in range(SHARDS)]
        self._by_request: list[dict[str, Job]] = [{} for _ in range(SHARDS)]
        self._owned: dict[str, int] = {}
        """owner -> its jobs; there is no entry for jobs without an owner."""
        self._sealed: deque[tuple[Job, ...]] = deque()
        self._open: list[Job] = []
        self._head = 0

    def __len__(self) -> int:
        return self.unfinished + self.finished

    def __repr__(self) -> str:
        return f"<job table {self.unfinished} unfinished, {self.finished} finished, {self.audio_bytes} audio bytes>"

    def check_room(self, audio_bytes: int) -> None:
        """Raise Rejected if a job with `audio_bytes` of audio can't be accepted now."""
        if self.unfinished >= self.jobs_max:
            raise Rejected("jobs_max", f"{self.jobs_max} jobs are unfinished, the most allowed", self.retry_after_ms)
        if self.audio_bytes + audio_bytes > self.audio_total_bytes_max:
            raise Rejected(
                "audio_total_bytes_max",
                f"the audio of all unfinished jobs would exceed {self.audio_total_bytes_max} bytes",
                self.retry_after_ms,
            )

    def add(self, job: Job) -> None:
        """Take in an unfinished job with a new id; check_room comes first. Its request id is found as this job's."""
        self._by_id[shard_of(job.job_id)][job.job_id] = job
        key = job.request_key
        by_request = self._by_request[shard_of(key)]
        self.begun_anew += key in by_request
        by_request[key] = job
        if job.owner:
            self._owned[job.owner] = self._owned.get(job.owner, 0) + 1
        self.unfinished += 1
        self.audio_bytes += job.audio_bytes

    def find(self, job_id: str) -> Job | None:
        """Return the job of that id, or None when it was never here or is already forgotten."""
        return self._by_id[shard_of(job_id)].get(job_id)

    def find_request(self, request_id: str, owner: str = "") -> Job | None:
        """Return the job that `owner` submitted under that request id, or None."""
        key = key_of(owner, request_id)
        return self._by_request[shard_of(key)].get(key)

    def count_of(self, owner: str | None) -> int:
        """Return how many jobs of `owner`, a token, are here; None = of all."""
        return len(self) if owner is None else self._owned.get(owner, 0)

    def shards(self) -> Iterator[list[Job]]:
        """Yield all jobs, some thousands at a time; what is added or removed meanwhile may be missed."""
        for shard in self._by_id:
            yield list(shard.values())

    def finish(self, job: Job) -> list[Job]:
        """Note that `job` has just reached a final state: its audio is freed now, the job after its retention.

        Returns the jobs that were removed because of `finished_max`.
        """
        self.unfinished -= 1
        self.finished += 1
        self.free_audio(job)
        self._open.append(job)
        if len(self._open) == BLOCK:
            self._sealed.append(tuple(self._open))
            self._open = []
            gc.collect(0)  # a few us now; at its own time it would visit 700 such tuples, 10 ms of cold memory
        gone = []
        while self.finished_max and self.finished > self.finished_max:
            gone.append(self._remove_oldest())
            self.evicted += 1
        return gone

    def free_audio(self, job: Job) -> None:
        """Drop the audio of `job`; nothing happens the second time."""
        if job.audio is not None:
            job.audio = None
            self.audio_bytes -= job.audio_bytes

    def remove_ended_before(self, before_ms: int) -> Job | None:
        """Remove and return the oldest finished job if it ended before `before_ms`, else None."""
        oldest = self._oldest()
        if oldest is None or oldest.ended_ms >= before_ms:
            return None
        return self._remove_oldest()

    def _oldest(self) -> Job | None:
        if self._sealed:
            return self._sealed[0][self._head]
        return self._open[self._head] if self._head < len(self._open) else None

    def _remove_oldest(self) -> Job:
        block = self._sealed[0] if self._sealed else self._open
        job = block[self._head]
        self._head += 1
        if self._sealed:
            if self._head == BLOCK:
                self._sealed.popleft()
                self._head = 0
        elif self._head == len(self._open):
            self._open = []
            self._head = 0
        self.finished -= 1
        self._forget(job)
        key = job.request_key
        by_request = self._by_request[shard_of(key)]
        if by_request[key] is job:
            del by_request[key]
        else:
            self.begun_anew -= 1
        if job.owner:
            left = self._owned[job.owner] - 1
            if left:
                self._owned[job.owner] = left
            else:
                del self._owned[job.owner]
        return job

    def _forget(self, job: Job) -> None:
        del self._by_id[shard_of(job.job_id)][job.job_id]


def shard_of(key: str) -> int:
    """Return the shard of `key`: the same in each process, as the order of `shards` must be. hash() is not."""
    return crc32(key.encode()) % SHARDS
