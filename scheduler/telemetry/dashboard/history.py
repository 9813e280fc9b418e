"""The last minutes of a scheduler, second by second, for charts that are full as soon as somebody looks.

Noting is a few additions a job, in the second in which it happens; what is drawn (quantiles, rates) is computed for
who looks, and by nobody else. It is bounded: SECONDS_KEPT seconds with at most some hundred bins each.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from voxpool.leakgate.inside.sizes import type_name
from voxpool.leakgate.readings.series import Bound
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED, Job
from voxpool.scheduler.core.seams import Observer
from voxpool.scheduler.telemetry.spread import Spread, is_shared

SECONDS_KEPT = 300
SIZED_EVERY = 10
"""Every SIZED_EVERY-th record is measured to estimate the size of all."""
QUANTILE_WINDOW_S = 10
"""A point of the charts of wait and service covers the jobs that completed within this number of seconds."""
ENDED_KEPT = 24
RECORDS_MAX = SECONDS_KEPT + QUANTILE_WINDOW_S + 2
"""Records of a second that are alive at the same time: those kept, the one of now, and one that is being made."""
SPREADS_SLACK = 16
"""Sums of records that are being made for viewers."""
SHARES = (0.5, 0.9, 0.99)
_NOTHING = Spread()


class Point(msgspec.Struct):
    """One second of the charts: events in it, quantiles in ms up to it (None: no job), what was there at its end."""

    second: int
    submitted: int
    completed: int
    failed: int
    cancelled: int
    redispatched: int
    wait_ms: list[float] | None
    service_ms: list[float] | None
    waiting: int
    unfinished: int
    resident: int
    predicted: float
    bound: float


class _Second:
    """What happened in one second, and what was there at its end (or at its last event)."""

    __slots__ = (
        "bound",
        "cancelled",
        "completed",
        "failed",
        "predicted",
        "redispatched",
        "resident",
        "second",
        "services",
        "submitted",
        "unfinished",
        "waiting",
        "waits",
    )

    def __init__(self, second: int) -> None:
        self.second = second
        self.submitted = self.completed = self.failed = self.cancelled = self.redispatched = 0
        self.waits = Spread()
        self.services = Spread()
        self.waiting = self.unfinished = self.resident = 0
        self.predicted = self.bound = 0.0

    def size_bytes(self) -> int:
        """Return what it takes, with all that it alone refers to."""
        numbers = [getattr(self, name) for name in self.__slots__ if name not in ("waits", "services")]
        own = sys.getsizeof(self) + sum(sys.getsizeof(number) for number in numbers if not is_shared(number))
        return own + self.waits.size_bytes() + self.services.size_bytes()


class DashboardHistory(Observer):
    """Hears of every job. `attach` it to its core before anything happens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = _Second(clock.now_ms() // 1000)
        self._began = self._now.second
        self._end_ms = (self._now.second + 1) * 1000
        self._past: deque[_Second] = deque(maxlen=SECONDS_KEPT + QUANTILE_WINDOW_S)
        """Seconds in which something happened or was looked at; the others are missing."""
        self._core: Core | None = None
        self._predict: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0)
        self.ended: deque[str] = deque(maxlen=ENDED_KEPT)
        """The ids of the last jobs that ended, the oldest first."""
        self.failed: deque[str] = deque(maxlen=ENDED_KEPT)
        """The same of those that failed; in heavy traffic they would be out of `ended` in no time."""

    def attach(self, core: Core, predict: Callable[[], tuple[float, float]]) -> None:
        """Look at the table of `core` from now on; `predict` returns the resident jobs' mean and bound."""
        self._core = core
        self._predict = predict

    def job_submitted(self, job: Job) -> None:
        """Count it."""
        self._at(job.submitted_ms, unfinished=1, resident=1).submitted += 1

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        """Count it."""
        self._at(self._clock.now_ms()).redispatched += 1

    def swept(self, removed: int, pause_ms: float) -> None:
        """Note how many jobs are left, also when no other comes."""
        self._at(self._clock.now_ms())

    def job_ended(self, job: Job) -> None:
        """Count it, and how long it waited and was served."""
        ended_ms = job.ended_ms
        now = self._at(ended_ms, unfinished=-1)
        dispatched_ms = job.dispatched_ms or ended_ms
        waited_ms = dispatched_ms - job.submitted_ms
        served_ms = ended_ms - dispatched_ms
        if job.state == COMPLETED:
            now.completed += 1
            now.waits.note(waited_ms)
            now.services.note(served_ms)
        elif job.state == FAILED:
            now.failed += 1
            self.failed.append(job.job_id)
        else:
            now.cancelled += 1
        self.ended.append(job.job_id)

    def advance(self) -> None:
        """Close the seconds that are over."""
        self._at(self._clock.now_ms())

    @property
    def newest_second(self) -> int:
        """The last second that is over."""
        return self._now.second - 1

    def points(self) -> Iterator[Point]:
        """Yield a point for each of the last SECONDS_KEPT seconds since the start that are over, the oldest first."""
        last = self.newest_second
        seen = {past.second: past for past in self._past}
        first = last - SECONDS_KEPT + 1
        waits, services = Spread(), Spread()
        state: _Second | None = None
        for second in range(first - QUANTILE_WINDOW_S, last + 1):
            now = seen.get(second)
            gone = seen.get(second - QUANTILE_WINDOW_S)
            if now is not None:
                waits.add(now.waits)
                services.add(now.services)
                state = now
            if gone is not None and second >= first:
                waits.take(gone.waits)
                services.take(gone.services)
            if second >= max(first, self._began):
                yield _point(second, now, state, waits, services)

    def newest(self) -> Point:
        """Return the point of the last second that is over."""
        last = self._now.second - 1
        waits, services = self.within(QUANTILE_WINDOW_S)
        past = self._past[-1] if self._past else None
        return _point(last, past if past is not None and past.second == last else None, past, waits, services)

    def within(self, seconds: int) -> tuple[Spread, Spread]:
        """Return the waits and the services of the last `seconds` full seconds."""
        waits, services = Spread(), Spread()
        for past in self._last(seconds):
            waits.add(past.waits)
            services.add(past.services)
        return waits, services

    def totals(self, seconds: int) -> dict[str, int]:
        """Return how much happened in the last `seconds` full seconds."""
        names = ("submitted", "completed", "failed", "cancelled", "redispatched")
        past = list(self._last(seconds))
        return {name: sum(getattr(one, name) for one in past) for name in names}

    def bounds(self, path: str) -> dict[str, Bound]:
        """Return what counts of a memory report may reach by design; `path` is where this object stands in it.

        A record is as large as the times of its jobs are spread: what one takes is the mean of some that there are.
        """
        some = [*islice(self._past, 0, None, SIZED_EVERY), self._now]
        entry_bytes = sum(record.size_bytes() for record in some) / len(some)
        return {
            f"table {path}._past": Bound(SECONDS_KEPT + QUANTILE_WINDOW_S, entry_bytes),
            f"type {type_name(_Second)}": Bound(RECORDS_MAX),
            f"type {type_name(Spread)}": Bound(2 * RECORDS_MAX + SPREADS_SLACK),
        }

    def _last(self, seconds: int) -> Iterator[_Second]:
        first = self._now.second - seconds
        for past in islice(reversed(self._past), seconds):
            if past.second >= first:
                yield past

    def _at(self, now_ms: int, unfinished: int = 0, resident: int = 0) -> _Second:
        """Return the second of `now_ms`; the one before is closed when that is a new one.

        It is told after an event, so what the event changed in the table is not counted for the older second.
        """
        if now_ms >= self._end_ms:
            self._look(unfinished, resident)
            self._past.append(self._now)
            second = now_ms // 1000
            if second > self._now.second + 1:  # nothing happened for a while: what was there then was there until now
                self._past.append(_quiet(second - 1, self._now))
            self._now = _Second(second)
            self._end_ms = (second + 1) * 1000
        return self._now

    def _look(self, unfinished: int, resident: int) -> None:
        core, now = self._core, self._now
        if core is None:
            return
        now.waiting = core.waiting.total
        now.unfinished = core.table.unfinished - unfinished
        now.resident = len(core.table) - resident
        now.predicted, now.bound = self._predict()


def _quiet(second: int, before: _Second) -> _Second:
    quiet = _Second(second)
    quiet.waiting, quiet.unfinished, quiet.resident = before.waiting, before.unfinished, before.resident
    quiet.predicted, quiet.bound = before.predicted, before.bound
    return quiet


def _point(second: int, now: _Second | None, state: _Second | None, waits: Spread, services: Spread) -> Point:
    events = now if now is not None else _Second(second)
    there = state if state is not None else events
    return Point(
        second=second,
        submitted=events.submitted,
        completed=events.completed,
        failed=events.failed,
        cancelled=events.cancelled,
        redispatched=events.redispatched,
        wait_ms=waits.quantiles(SHARES),
        service_ms=services.quantiles(SHARES),
        waiting=there.waiting,
        unfinished=there.unfinished,
        resident=there.resident,
        predicted=round(there.predicted, 1),
        bound=round(there.bound, 1),
    )
