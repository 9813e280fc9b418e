"""Routes the end of each job to the WebSocket sessions and HTTP requests that wait for it, and keeps nothing else.

There is an entry only while a watcher waits for an unfinished job; it is removed with the job's end or the watcher.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.errors import Rejected


class Watcher(Protocol):
    """Waits for the end of jobs."""

    def job_ended(self, job: Job) -> None:
        """`job` has ended; must not block and must not raise."""
        ...


class Results:
    """The dispatcher's ResultSink. At most `result_waiters_max` (watcher, job) entries."""

    def __init__(self, result_waiters_max: int, retry_after_ms: int) -> None:
        self._result_waiters_max = result_waiters_max
        self._retry_after_ms = retry_after_ms
        self._watchers: dict[str, list[Watcher]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def check_room(self) -> None:
        """Raise Rejected when no more waiters are allowed."""
        if self._count >= self._result_waiters_max:
            detail = f"{self._result_waiters_max} clients wait for results, the most allowed"
            raise Rejected("result_waiters_max", detail, self._retry_after_ms)

    def watch(self, job: Job, watcher: Watcher) -> None:
        """Call `watcher` when `job` ends, at once if it has ended already. Watching twice counts once."""
        if job.ended:
            watcher.job_ended(job)
            return
        watchers = self._watchers.setdefault(job.job_id, [])
        if watcher not in watchers:
            watchers.append(watcher)
            self._count += 1

    def unwatch(self, job_id: str, watcher: Watcher) -> None:
        """Forget that `watcher` waits for that job, if it does."""
        watchers = self._watchers.get(job_id)
        if watchers is not None and watcher in watchers:
            watchers.remove(watcher)
            self._count -= 1
            if not watchers:
                del self._watchers[job_id]

    def is_watched(self, job_id: str) -> bool:
        """Return whether a watcher waits for that job."""
        return job_id in self._watchers

    def job_ended(self, job: Job) -> None:
        """Call all watchers of `job`."""
        watchers = self._watchers.pop(job.job_id, None)
        if watchers is not None:
            self._count -= len(watchers)
            for watcher in watchers:
                watcher.job_ended(job)

    async def wait(self, job: Job, seconds: float, gone: asyncio.Future[None]) -> None:
        """Return when `job` has ended, after `seconds`, when the client is `gone`, or at `release`. Raises Rejected."""
        if job.ended or seconds <= 0:
            return
        self.check_room()
        waiter = _Waiter()
        self.watch(job, waiter)
        gone.add_done_callback(lambda _: waiter.wake())
        timer = asyncio.get_running_loop().call_later(seconds, waiter.wake)
        try:
            await waiter.future
        finally:
            timer.cancel()
            self.unwatch(job.job_id, waiter)

    def release(self) -> None:
        """Wake all that `wait`: the scheduler stops."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                if isinstance(watcher, _Waiter):
                    watcher.wake()


class _Waiter:
    """One HTTP request that waits."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def job_ended(self, job: Job) -> None:
        self.wake()

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)
