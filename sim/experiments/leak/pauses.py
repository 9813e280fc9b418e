"""M9: measures how long the job table blocks the loop at each size: by a sweep, an insert, the collector.

It uses no virtual time: the real table is filled with finished jobs, and its sweep is timed.
"""

from __future__ import annotations

import ctypes
import gc
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voxpool.leakgate.inside.allocators import AllocatedBytes
from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.retention import Retention
from voxpool.scheduler.core.seams import Observer
from voxpool.sim.experiments.leak.without.full_scan import FullScan
from voxpool.sim.virtual_time.pause_watch import CollectorWatch, PauseWatch, now_ns

STEP_MS = 1
"""Milliseconds between the ends of two finished jobs."""
OLD_SHARE = 0.01
"""The share of jobs whose retention has ended when the sweep is timed."""
TEXT = "text"
"""The result of every job: one shared text, so that results take no memory."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The longest pauses with up to `jobs` resident finished jobs; ms of CPU time."""

    jobs: int
    insert_ms: float
    sweep_ms: float
    collector_ms: float
    bytes_a_job: float


@dataclass(frozen=True, slots=True)
class Round:
    """Durations of one round that fills a table. The same operation has the same index in each round."""

    insert_ns: array[int]
    """Duration of each insert, in order."""
    sweep_ns: list[list[int]]
    """Duration of each slice of the sweep, for each size of the table."""
    collector_ns: list[int]
    """The longest run of the collector up to each size."""
    bytes_a_job: list[float]
    """At each size."""


def longest(sizes: list[int], rounds: list[Round]) -> list[Pauses]:
    """Return the longest pauses at each of `sizes`, using the minimum over rounds for each operation.

    The inherent duration of an operation occurs in every round. A duration in a single round is noise of the machine:
    evicted caches, mapped memory, another process on the processor.
    """
    inserts = np.min([one.insert_ns for one in rounds], axis=0)
    found: list[Pauses] = []
    sweep_ns = added = removed = 0
    for i, size in enumerate(sizes):
        added = size + removed
        removed += _old(size)
        sweep_ns = max(sweep_ns, int(np.min([one.sweep_ns[i] for one in rounds], axis=0).max()))
        collector_ns = min(one.collector_ns[i] for one in rounds)
        insert_ms, sweep_ms = int(inserts[:added].max()) / 1e6, sweep_ns / 1e6
        found.append(Pauses(size, insert_ms, sweep_ms, collector_ns / 1e6, rounds[0].bytes_a_job[i]))
    return found


class _Clock:
    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms


def finished_job(number: int) -> Job:
    """Return a new job with unique ids and times that has been waiting, dispatched and completed."""
    now_ms = 1_700_000_000_000 + number * STEP_MS
    return Job(
        job_id=f"s1-{number}",
        request_id=f"request-{number}",
        session_id="",
        pair="zh:en",
        sequence=number,
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


def production(sizes: list[int], rounds: int = 1, progress: Callable[[float], None] = lambda _: None) -> list[Pauses]:
    """Fill production's table to each of `sizes` (rising), time its inserts, then its sweeps in slices.

    `progress` is called with the completed share.
    """
    return _measured(_production, sizes, rounds, progress)


def before(sizes: list[int], rounds: int = 1, progress: Callable[[float], None] = lambda _: None) -> list[Pauses]:
    """Measure the old table: one dict that each sweep reads completely."""
    return _measured(_before, sizes, rounds, progress)


_Insert = Callable[[Job], None]
_Sweep = Callable[[Job, PauseWatch], None]


def _production() -> tuple[_Insert, _Sweep]:
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

    return insert, sweep


def _before() -> tuple[_Insert, _Sweep]:
    table = FullScan()

    def sweep(job: Job, watch: PauseWatch) -> None:
        with watch:
            table.timed_out(job.ended_ms)
        with watch:
            table.sweep(job.ended_ms)

    return table.add, sweep


def _measured(
    table: Callable[[], tuple[_Insert, _Sweep]], sizes: list[int], rounds: int, progress: Callable[[float], None]
) -> list[Pauses]:
    def fill(done: int) -> Round:
        return _fill(*table(), sizes, lambda share: progress((done + share) / rounds))

    return longest(sizes, [fill(done) for done in range(rounds)])


def _old(size: int) -> int:
    return int(size * OLD_SHARE)


def _fill(insert: _Insert, sweep: _Sweep, sizes: list[int], progress: Callable[[float], None]) -> Round:
    total = sizes[-1] + sum(map(_old, sizes[:-1]))
    took = Round(array("Q", bytes(8 * total)), [], [], [])
    gc.collect()
    gc.freeze()  # as `voxpool serve` does after its start: else every full collection visits imported objects
    meter = AllocatedBytes()
    empty = meter.read().allocated
    ctypes.CDLL(None).malloc_trim(
        0
    )  # memory freed by the previous round is mapped again: this is part of a table's growth
    added = removed = 0
    with CollectorWatch() as collector:
        for size in sizes:
            while added - removed < size:
                job = finished_job(added)
                # The measurement of PauseWatch, without the cost of entering it a million times.
                began_ns, collected_ns = now_ns(), collector.total_ns
                insert(job)
                took.insert_ns[added] = now_ns() - began_ns - (collector.total_ns - collected_ns)
                added += 1
                if added % 10_000 == 0:
                    progress(added / total)
            took.bytes_a_job.append((meter.read().allocated - empty) / size)
            sweeps = PauseWatch(collector)
            sweep(finished_job(removed + _old(size)), sweeps)
            removed += _old(size)
            took.sweep_ns.append(sweeps.pauses_ns)
            took.collector_ns.append(collector.longest_ns)
    gc.unfreeze()
    return took
