"""Snapshots of a scheduler for its viewers: one a second, shared by all of them, and none without viewers.

The role that takes the snapshots runs from the first viewer to the last. A slow viewer misses some and goes
on with the newest; nothing is queued.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from voxpool.leakgate.readings.series import Bound
from voxpool.scheduler import __version__
from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import DISPATCHED, WAITING, Job
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.telemetry.dashboard.fleet import FleetView, take_fleet
from voxpool.scheduler.telemetry.dashboard.history import SECONDS_KEPT, SHARES, DashboardHistory, Point
from voxpool.scheduler.telemetry.metrics.figures import RECORD_BYTES
from voxpool.scheduler.telemetry.spread import Spread
from voxpool.scheduler.telemetry.waiting_count import WaitingCount, count_waiting

INTERVAL_S = 1.0
SHARE_MAX = 0.05
"""The largest share of the time for snapshots: with very many nodes they come less often than once a second."""
FIGURES_WINDOW_S = 60
POINTS_A_TURN = 20


class Times(msgspec.Struct):
    """Quantiles in ms over `jobs` jobs; None when there are none."""

    jobs: int
    quantiles: list[float] | None


class WaitingNow(msgspec.Struct):
    """The waiting jobs: how many of each priority that has some, and the part of the key with most of them."""

    priorities: dict[int, int]
    keys: int
    largest_part: float


class EndedJob(msgspec.Struct, gc=False):
    """A job that has ended, without its output. `waited_ms` runs to its last dispatch, or to its end without one."""

    job_id: str
    pair: str
    state: str
    reason: str
    node_id: str
    attempts: int
    waited_ms: int
    served_ms: int
    ended_ms: int


class Limits(msgspec.Struct):
    """The settings that the figures depend on."""

    heartbeat_ms: int
    lease_ms: int
    retention_s: float
    cleanup_interval_s: float
    jobs_max: int
    finished_max: int
    audio_total_bytes_max: int
    why_every: int


class Snapshot(msgspec.Struct):
    """The present state. `minute` counts what happened in the last FIGURES_WINDOW_S seconds."""

    at_ms: int
    started_ms: int
    version: str
    stopping: bool
    store_up: bool
    store_error: str
    viewers: int
    jobs: dict[str, int]
    resident_bytes: int
    minute: dict[str, int]
    wait: Times
    service: Times
    fleet: FleetView
    waiting: WaitingNow
    ended: list[EndedJob]
    failed: list[EndedJob]
    point: Point


class Past(msgspec.Struct):
    """The first event of a viewer: the points of the last minutes, and what doesn't change."""

    limits: Limits
    shares: tuple[float, ...]
    seconds: int
    window_s: int
    points: list[Point]


class Dashboard:
    """Snapshots for viewers, at most `viewers_max` of them. `store` returns whether it answers, and why not."""

    def __init__(
        self,
        settings: Settings,
        core: Core,
        history: DashboardHistory,
        finished: Mapping[str, int],
        store: Callable[[], tuple[bool, str]],
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
    ) -> None:
        self.viewers = 0
        self.stopping = False
        """Whether the scheduler takes no new jobs any more; viewers still see the others."""
        self._viewers_max = settings.viewers_max
        self._retry_after_ms = ms(settings.retry_after_s)
        self._core = core
        self._history = history
        self._finished = finished
        self._store = store
        self._now_ms = now_ms
        self._seconds = seconds
        self._started_ms = now_ms()
        self._limits = Limits(
            heartbeat_ms=ms(settings.heartbeat_s),
            lease_ms=ms(settings.lease_s),
            retention_s=settings.retention_s,
            cleanup_interval_s=settings.cleanup_interval_s,
            jobs_max=settings.jobs_max,
            finished_max=settings.finished_max,
            audio_total_bytes_max=settings.audio_total_bytes_max,
            why_every=settings.why_every,
        )
        self._newest = b""
        self._number = 0
        """Counts the snapshots."""
        self._published = asyncio.Event()
        self._past = b""
        self._past_until = 0
        self._one_at_a_time = asyncio.Lock()
        self._role: asyncio.Task[None] | None = None
        self._stopped = False

    def enter(self) -> None:
        """Count a viewer, who must `leave`. Raises Rejected when viewers_max watch, or when the scheduler stops."""
        if self._stopped:
            raise Rejected(STOPPING, "this scheduler stops", self._retry_after_ms)
        if self.viewers >= self._viewers_max:
            detail = f"{self._viewers_max} viewers watch, the most allowed (viewers_max)"
            raise Rejected("viewers_max", detail, self._retry_after_ms)
        self.viewers += 1
        if self._role is None:
            self._role = asyncio.get_running_loop().create_task(self._run_forever(), name="dashboard")
            self._role.add_done_callback(lambda _: self._wake())

    def leave(self) -> None:
        """Uncount a viewer; after the last one nothing is computed any more."""
        self.viewers -= 1
        if not self.viewers:
            self._end()

    def stop(self) -> None:
        """End the streams of all viewers and accept no new ones."""
        self._stopped = True
        self._end()
        self._wake()

    def bounds(self, path: str) -> dict[str, Bound]:
        """Return what counts of a memory report may reach by design; `path` is where this object stands in it."""
        return self._history.bounds(f"{path}._history")

    async def past(self) -> bytes:
        """Return a Past as JSON; viewers of the same second share it."""
        self._history.advance()
        async with self._one_at_a_time:
            if not self._past or self._past_until != self._history.newest_second:
                self._past_until = self._history.newest_second
                points: list[Point] = []
                for point in self._history.points():
                    points.append(point)
                    if len(points) % POINTS_A_TURN == 0:
                        await asyncio.sleep(0)
                past = Past(self._limits, SHARES, SECONDS_KEPT, FIGURES_WINDOW_S, points)
                self._past = msgspec.json.encode(past)
            return self._past

    async def after(self, number: int) -> tuple[int, bytes] | None:
        """Return the newest Snapshot as JSON and its number, which is above `number`; None when the scheduler stops."""
        while not self._stopped:
            if self._number > number and self._newest:
                return self._number, self._newest
            role = self._role
            if role is not None and role.done() and not role.cancelled():
                role.result()  # a bug of ours: its traceback belongs in the log
            await self._published.wait()
        return None

    async def run_once(self) -> None:
        """Take a snapshot and give it to all viewers."""
        now_ms = self._now_ms()
        self._history.advance()
        fleet = await take_fleet(self._core, now_ms)
        waiting = await count_waiting(self._core)
        self._newest = msgspec.json.encode(self._snapshot(now_ms, fleet, waiting))
        self._number += 1
        self._wake()

    def _wake(self) -> None:
        """Wake all that wait. Those that wait from now on wait for the next time: a set event would not wait."""
        published, self._published = self._published, asyncio.Event()
        published.set()

    async def _run_forever(self) -> None:
        """Take a snapshot each second, or less often when it takes long."""
        while True:
            start_s = self._seconds()
            await self.run_once()
            took_s = self._seconds() - start_s
            await asyncio.sleep(max(INTERVAL_S - took_s, took_s / SHARE_MAX - took_s))

    def _end(self) -> None:
        if self._role is not None:
            self._role.cancel()
        self._role = None
        self._newest = self._past = b""

    def _snapshot(self, now_ms: int, fleet: FleetView, waiting: WaitingCount) -> Snapshot:
        table = self._core.table
        dispatched = min(fleet.slots["used"], table.unfinished)  # the nodes were counted over several turns
        waits, services = self._history.within(FIGURES_WINDOW_S)
        up, error = self._store()
        return Snapshot(
            at_ms=now_ms,
            started_ms=self._started_ms,
            version=__version__,
            stopping=self.stopping,
            store_up=up,
            store_error=error,
            viewers=self.viewers,
            jobs={WAITING: table.unfinished - dispatched, DISPATCHED: dispatched, **self._finished},
            resident_bytes=table.audio_bytes + RECORD_BYTES * len(table),
            minute=self._history.totals(FIGURES_WINDOW_S),
            wait=_times(waits),
            service=_times(services),
            fleet=fleet,
            waiting=WaitingNow(
                dict(sorted(waiting.by_priority().items())), len(waiting.keys), round(waiting.largest_part, 4)
            ),
            ended=self._jobs(self._history.ended),
            failed=self._jobs(self._history.failed),
            point=self._history.newest(),
        )

    def _jobs(self, job_ids: deque[str]) -> list[EndedJob]:
        """Return the jobs, newest first, that are not forgotten yet."""
        jobs = map(self._core.table.find, reversed(job_ids))
        return [_ended_job(job) for job in jobs if job is not None]


def _ended_job(job: Job) -> EndedJob:
    dispatched_ms = job.dispatched_ms or job.ended_ms
    return EndedJob(
        job_id=job.job_id,
        pair=job.pair,
        state=job.state,
        reason=job.reason,
        node_id=job.node_id,
        attempts=job.attempt,
        waited_ms=dispatched_ms - job.submitted_ms,
        served_ms=job.ended_ms - dispatched_ms,
        ended_ms=job.ended_ms,
    )


def _times(spread: Spread) -> Times:
    return Times(spread.count, spread.quantiles(SHARES))
