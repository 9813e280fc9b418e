"""Results on their way to clients: who waits for the end of which job, and what a session is owed over its connections.

Results routes the end of each job to the WebSocket sessions and HTTP requests that wait for it, and keeps nothing else.
There is an entry only while a watcher waits for an unfinished job; it is removed with the job's end or the watcher.

In the Outbox of a session a result is expected, held back while an earlier one is missing (in_order.py), goes out under
the next number, and is forgotten when the client has acknowledged that number. It is pure: it knows no clock, no socket
and no job; keys go in, numbered results come out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.seams import ResultSink
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.in_order import InOrder
from voxpool.scheduler.protocol.messages import JobResult, NodePartial

R = TypeVar("R")


class Watcher(Protocol):
    """Waits for the end of jobs, and takes partial results if it wants them."""

    def job_ended(self, job: Job) -> None:
        """`job` has ended; must not block and must not raise."""
        ...

    def wants_partials(self, job_id: str) -> bool:
        """Return whether it wants partial results of that job."""
        return False

    def partial(self, job: Job, partial: NodePartial) -> None:
        """Take a partial result that it wants; must not block and must not raise."""
        return None


class Results(ResultSink):
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

    def wants_partials(self, job: Job) -> bool:
        """Return whether a watcher of `job` wants partial results."""
        return any(watcher.wants_partials(job.job_id) for watcher in self._watchers.get(job.job_id, ()))

    def partial(self, job: Job, partial: NodePartial) -> None:
        """Pass a partial result to the watchers that want it."""
        for watcher in self._watchers.get(job.job_id, ()):
            if watcher.wants_partials(job.job_id):
                watcher.partial(job, partial)

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


class _Waiter(Watcher):
    """One HTTP request that waits."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def job_ended(self, job: Job) -> None:
        self.wake()

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


def job_result(job: Job, number: int) -> JobResult:
    """Return the message about the end of `job` for its client."""
    return JobResult(
        job_id=job.job_id,
        request_id=job.request_id,
        state=job.state,
        attempts=job.tries,
        times_ms=job.times_ms,
        output=job.output,
        error=job.reason or None,
        detail=job.detail,
        retryable=job.retryable,
        number=number,
    )


class Numbered(NamedTuple, Generic[R]):
    """A result that goes out; numbers rise by one from 1."""

    number: int
    result: R


class Outbox(Generic[R]):
    """Each key that is expected goes out once. The keys that went out are kept until their numbers are acknowledged.

    Results themselves are kept only while an earlier one is missing: at most `held_max`, for `grace_ms` at most.
    """

    def __init__(self, grace_ms: int, held_max: int) -> None:
        self.number = 0
        """The last number that was given to a result."""
        self.keeps = True
        """Whether a result that goes out now is kept until it is acknowledged; else it counts as received."""
        self._grace_ms = grace_ms
        self._held_max = held_max
        self._order: InOrder[tuple[str, R]] | None = None
        self._expected: dict[str, bool] = {}
        """Key of each result that is not out -> whether the job belongs to this session."""
        self._unacknowledged: dict[str, int] = {}
        """Key of each result that is out -> its number; in the order of the numbers."""

    def __len__(self) -> int:
        return len(self._unacknowledged)

    def __repr__(self) -> str:
        return f"<outbox: {len(self._expected)} expected, {len(self)} unacknowledged, last number {self.number}>"

    @property
    def expected(self) -> list[str]:
        """The keys of results that are not out yet."""
        return list(self._expected)

    @property
    def own(self) -> list[str]:
        """Those of them whose jobs belong to this session."""
        return [key for key, is_own in self._expected.items() if is_own]

    def owes(self, key: str) -> bool:
        """Return whether the result of `key` is expected, or out and not acknowledged."""
        return key in self._expected or key in self._unacknowledged

    def expect(self, key: str, is_own: bool) -> bool:
        """Expect the result of `key`; return False when it is expected already, or on its way to the client."""
        if self.owes(key):
            return False
        self._expected[key] = is_own
        if self._order is not None:
            self._order.submitted(key)
        return True

    def ended(self, key: str, result: R, now_ms: int) -> list[Numbered[R]]:
        """Take the result of `key` and return what goes out now."""
        if self._order is None:
            return self._out([(key, result)])
        return self._out(self._order.ended(key, (key, result), now_ms))

    def put_in_order(self, is_wanted: bool) -> list[Numbered[R]]:
        """Choose results in the order of their keys, or as they come; return what goes out because of it."""
        if is_wanted == (self._order is not None):
            return []
        if self._order is not None:
            held, self._order = self._order.release(), None
            return self._out(held)
        self._order = InOrder(self._grace_ms, self._held_max)
        for key in self._expected:
            self._order.submitted(key)
        return []

    @property
    def due_ms(self) -> int | None:
        """When `skip_gap` is to be called; None = never."""
        return None if self._order is None else self._order.due_ms

    def skip_gap(self, now_ms: int) -> list[Numbered[R]]:
        """Return what goes out because an earlier result was missing for too long."""
        return [] if self._order is None else self._out(self._order.skip_gap(now_ms))

    def acknowledge(self, number: int) -> None:
        """The client has all results up to `number`. Raises ValueError when that was never given."""
        if number > self.number:
            raise ValueError(f"result {number} was not sent; the last one is {self.number}")
        has = []
        for key, sent in self._unacknowledged.items():
            if sent > number:
                break
            has.append(key)
        for key in has:
            del self._unacknowledged[key]

    def unacknowledged(self) -> Iterator[tuple[int, str]]:
        """Yield number and key of what is out and not acknowledged, in the order of the numbers."""
        for key, number in self._unacknowledged.items():
            yield number, key

    def forget(self, keys: list[str]) -> None:
        """Count these as acknowledged: their results can't be sent again."""
        for key in keys:
            self._unacknowledged.pop(key, None)

    def clear(self) -> None:
        """Owe nothing any more, in no order; the numbers go on."""
        self._expected.clear()
        self._unacknowledged.clear()
        self._order = None

    def _out(self, ready: list[tuple[str, R]]) -> list[Numbered[R]]:
        out = []
        for key, result in ready:
            self._expected.pop(key, None)
            self.number += 1
            if self.keeps:
                self._unacknowledged[key] = self.number
            out.append(Numbered(self.number, result))
        return out
