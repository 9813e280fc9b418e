"""Invented reports of load runs: Poisson traffic and latencies of a known distribution."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from voxpool.leakgate.judging.finding import Growth, MemoryFinding
from voxpool.leakgate.readings.series import Source
from voxpool.leakgate.report.report import Curves, WatchReport
from voxpool.loadtest.measuring._latencies import Latencies
from voxpool.loadtest.measuring._pools import pools_of
from voxpool.loadtest.measuring._tally import Tally
from voxpool.loadtest.measuring._what_became import jobs_of
from voxpool.loadtest.report._records import Arrivals, Generator, GeneratorProcess, LoadReport, PoolFigures, Spread
from voxpool.sim.report.report import Check

MB = 1_000_000

Floats = NDArray[np.float64]


@cache
def load_report(
    seed: int, *, rate_per_s: float = 100.0, mean_s: float = 0.1, slower: float = 1.0, tail: float = 0.0,
    lasts_s: float = 120.0, failing: float = 0.0, bytes_a_job: float | None = None, was_limit: bool = False,
) -> LoadReport:  # fmt: skip
    """Return the report of a run whose latencies are exponential with mean `mean_s`, all times `slower`.

    A share `tail` of them takes ten times as long; a share `failing` fails.
    """
    rng = np.random.default_rng(seed)
    tally, latencies = Tally(), Latencies()
    at_s = np.cumsum(rng.exponential(1 / rate_per_s, int(rate_per_s * lasts_s * 1.5)))
    for at in at_s[at_s < lasts_s].tolist():
        tally.request(at, "WS", "submit", 0.002)
        if rng.random() < failing:
            tally.request(at, "WS", "result", 1.0, "no_result")
            continue
        latency_s = float(rng.exponential(mean_s)) * slower * (10 if rng.random() < tail else 1)
        tally.request(at, "WS", "result", latency_s)
    latencies.absorb(tally.take())
    for window in range(int(lasts_s / 5)):
        latencies.users(window * 5 + 4, 50)
    operations, errors = latencies.operations(lasts_s), latencies.errors()
    served = {("load:test", f"node-{k}"): int(count) for k, count in enumerate(rng.poisson(100, 20))}
    return LoadReport(
        verdict="holds",
        exit_code=0,
        why="every limit is kept",
        host="http://scheduler:5010",
        started="2026-01-01T00:00:00+00:00",
        duration_s=lasts_s,
        ended_by="time",
        options={"num_users": 50},
        versions={"voxpool": "0"},
        users_max=50,
        checks=[Check("failures", failing == 0, 100 * failing, "<= 0 %", unit="%")],
        generator=Generator(
            was_limit=was_limit,
            reasons=["process local had its core full"] if was_limit else [],
            processes=[
                GeneratorProcess(name="local", pid=1, cpu_mean=0.2, cpu_max=0.5, rss_bytes_max=80 * MB, samples=120)
            ],
        ),
        arrivals=Arrivals(
            intended=10, sent=9, late=1, dropped=1, late_ms=100, lag_s=Spread(0.001, 0.001, 0.002, 0.003, 0.01, 0.01)
        ),
        jobs=jobs_of(operations, errors),
        operations=operations,
        errors=errors,
        windows=latencies.windows(lasts_s),
        pools=pools_of(
            {"load:test": PoolFigures(pair="load:test", nodes=20, slots=40, running_max=30, waiting_max=5)}, served
        ),
        memory=None if bytes_a_job is None else memory_report(bytes_a_job),
    )


def memory_report(bytes_a_job: float) -> WatchReport:
    """Return the memory report of a scheduler that keeps `bytes_a_job`."""
    times = [float(second) for second in range(0, 120, 2)]
    work = [int(100 * second) for second in times]
    allocated = [50 * MB + int(bytes_a_job * jobs) for jobs in work]
    curves = Curves(
        t_s=times,
        age_s=[0.1] * len(times),
        work=work,
        rss_bytes=[value + 30 * MB for value in allocated],
        allocated_bytes=list(allocated),
        held_bytes=[value + 5 * MB for value in allocated],
        store_bytes=[None] * len(times),
        kept=[500] * len(times),
        in_flight=[20] * len(times),
        objects=[1000] * len(times),
    )
    verdict = "leak" if bytes_a_job > 50 else "no leak"
    growth = Growth(
        name="allocated bytes", unit="B", verdict=verdict, reason="as planted",
        at=[float(jobs) for jobs in work[20::10]], lows=[float(size) for size in allocated[20::10]],
        a_unit=bytes_a_job, low=bytes_a_job - 5, high=bytes_a_job + 5, limit=50.0, readings=len(times),
    )  # fmt: skip
    finding = MemoryFinding(
        verdict=verdict, reason="as planted", unit="job", work=work[-1], seconds=times[-1], readings=len(times),
        allocated=growth,
    )  # fmt: skip
    source = Source(name="http://scheduler:5010", unit="job", interval_s=2.0, retention_s=5.0)
    return WatchReport(finding=finding, source=source, curves=curves, taken=len(times))


def pair_of_reports(seed: int, *, slower: float = 0.0, lasts_s: float = 120.0) -> tuple[LoadReport, LoadReport]:
    """Return the reports of two simultaneous runs of one load, on a machine with other load.

    Both have the same jobs of 50 ms (exponential) at the same times. The machine adds 5 to 25 ms by the window: as much
    in both runs, and drawn for each job. In one window of twenty a burst hits one of the runs. The mean latency of B is
    higher by the share `slower`.
    """
    jobs, machine = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    windows = int(lasts_s / 5)
    overhead_s = machine.uniform(0.005, 0.025, windows)
    at_s = np.cumsum(jobs.exponential(1 / 30, int(45 * lasts_s)))
    at_s = at_s[at_s < lasts_s]
    work_s = jobs.exponential(0.05, len(at_s))
    added_s = slower * (0.05 + overhead_s.mean())
    a, b = (_noisy(machine, at_s, work, overhead_s, lasts_s) for work in (work_s, work_s + added_s))
    return a, b


def _noisy(
    machine: np.random.Generator, at_s: Floats, work_s: Floats, overhead_s: Floats, lasts_s: float
) -> LoadReport:
    bursts_s = np.where(machine.random(len(overhead_s)) < 0.05, machine.exponential(0.01, len(overhead_s)), 0.0)
    mean_s = (overhead_s + bursts_s)[(at_s / 5).astype(int)]
    took_s = work_s + machine.exponential(mean_s)
    tally, latencies = Tally(), Latencies()
    for at, took in zip(at_s.tolist(), took_s.tolist(), strict=True):
        tally.request(at, "WS", "result", took)
    latencies.absorb(tally.take())
    for window in range(len(overhead_s)):
        latencies.users(window * 5 + 4, 60)
    operations, errors = latencies.operations(lasts_s), latencies.errors()
    return msgspec.structs.replace(
        load_report(0, lasts_s=5),
        options={"num_users": 60, "seed": 1},
        duration_s=lasts_s,
        operations=operations,
        errors=errors,
        jobs=jobs_of(operations, errors),
        windows=latencies.windows(lasts_s),
    )
