"""M9: how long the loop stands still by the table of jobs, at each size: by a sweep, an insert, the collector.

No virtual time here: the real table and the real sweep are filled with finished jobs and timed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scheduler.config import Settings, ms
from scheduler.job import COMPLETED, Job
from scheduler.job_table import JobTable
from scheduler.retention import Retention
from scheduler.seams import Observer
from scheduler.telemetry.live_bytes import LiveBytes
from sim.before.full_scan import FullScan
from sim.pause_watch import CollectorWatch, PauseWatch, now_ns

STEP_MS = 1
"""Each finished job ends so much after the one before it."""
OLD_SHARE = 0.01
"""The share of the jobs whose time is over when the sweep is timed."""
TEXT = "text"
"""What every job's result is: one text that all share, so that results don't count."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The longest pauses until, and at, that many resident finished jobs; ms of CPU time."""

    jobs: int
    insert_ms: float
    sweep_ms: float
    collector_ms: float
    bytes_a_job: float


def shorter(first: Pauses, second: Pauses) -> Pauses:
    """Return the shorter of each pause of two rounds at the same size."""
    assert first.jobs == second.jobs
    return Pauses(
        first.jobs,
        min(first.insert_ms, second.insert_ms),
        min(first.sweep_ms, second.sweep_ms),
        min(first.collector_ms, second.collector_ms),
        first.bytes_a_job,
    )


class _Clock:
    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms


def finished_job(number: int, instance: str = "s1") -> Job:
    """Return a new job with ids and times of its own that has been waiting, dispatched and completed."""
    now_ms = 1_700_000_000_000 + number * STEP_MS
    return Job(
        job_id=f"{instance}-{number}",
        request_id=f"request-{number}",
        session_id="",
        pair="zh:en",
        place=number,
        submitted_ms=now_ms - 2000,
        waits_from_ms=now_ms - 2000,
        audio=b"",
        audio_bytes=0,
        attempt=1,
        node_id="gpu-1",
        dispatched_ms=now_ms - 1000,
        ended_ms=now_ms,
        output=TEXT,
        state=COMPLETED,
    )


def production(sizes: list[int], progress: Callable[[int], None] = lambda _: None) -> Iterator[Pauses]:
    """Fill production's table to each of `sizes` (rising), time its inserts, then its sweeps in slices."""
    settings = Settings(finished_max=0)
    clock = _Clock()
    table = JobTable(settings.jobs_max, settings.audio_total_bytes_max, 0, 1000)
    retention = Retention(settings, clock, table, Observer())

    def insert(job: Job) -> None:
        table.add(job)
        table.finish(job)

    def sweep(job: Job, watch: PauseWatch) -> None:
        clock.ms = job.ended_ms + ms(settings.retention_s)
        more = True
        while more:
            with watch:
                more = retention.run_once() == settings.sweep_slice

    yield from _fill(sizes, insert, sweep, progress)


def before(sizes: list[int], progress: Callable[[int], None] = lambda _: None) -> Iterator[Pauses]:
    """The same with one dict that each sweep reads from end to end."""
    table = FullScan()

    def sweep(job: Job, watch: PauseWatch) -> None:
        with watch:
            table.timed_out(job.ended_ms)
        with watch:
            table.sweep(job.ended_ms)

    yield from _fill(sizes, table.add, sweep, progress)


def _fill(
    sizes: list[int],
    insert: Callable[[Job], None],
    sweep: Callable[[Job, PauseWatch], None],
    progress: Callable[[int], None],
) -> Iterator[Pauses]:
    gc.collect()
    gc.freeze()  # as `voxpool serve` does after its start: else every full collection visits what was imported
    meter = LiveBytes()
    empty = meter.read().live
    added = removed = 0
    with CollectorWatch() as collector:
        sweeps = PauseWatch(collector)
        longest_ns = 0
        for size in sizes:
            while added - removed < size:
                job = finished_job(added)
                # What PauseWatch does, without the cost of entering it a million times.
                began_ns, collected_ns = now_ns(), collector.total_ns
                insert(job)
                took_ns = now_ns() - began_ns - (collector.total_ns - collected_ns)
                if took_ns > longest_ns:
                    longest_ns = took_ns
                added += 1
                if added % 10_000 == 0:
                    progress(added)
            live = meter.read().live - empty
            old = int(size * OLD_SHARE)
            sweep(finished_job(removed + old), sweeps)
            removed += old
            yield Pauses(size, longest_ns / 1e6, sweeps.longest_ms, collector.longest_ms, live / size)
    gc.unfreeze()
