"""A scheduler at a third of its knee for an hour: is its last sixth as fast as its first, and no larger in memory?

`python -m bench.steady [--minutes M] [--rate R]` runs a scheduler at its defaults, with a node that answers at once and
a client of the SDK. The knee is what it does with 64 jobs in flight; then jobs of 10 kB come at a third of that rate,
at random times. A row for each sixth of the time. Exit code 1 when `--check` is given and a limit is missed.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click
import uvloop

from bench._processes import PAIR
from bench._rows import Row, print_rows
from bench.round_trips import AUDIO, cpu_s, scheduler, through_scheduler
from voxpool import Client
from voxpool.sim.report.limits import holds

PARTS = 6
KNEE_S = 3.0
RISE_MAX = "<= 1.25"
SEED = 1


class Part(NamedTuple):
    """What a sixth of the time has measured."""

    jobs: int
    p50_ms: float
    p99_ms: float
    cpu_us: float
    resident_mb: float


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def hold(port: int, pid: int, rate: float, seconds: float) -> list[Part]:
    """Submit `rate` jobs a second for `seconds`, and return the parts."""
    draws, parts = random.Random(SEED), []
    async with Client(f"ws://127.0.0.1:{port}") as client:
        for number in range(PARTS):
            took_ms: list[float] = []

            async def call(took_ms: list[float] = took_ms) -> None:
                before_s = time.perf_counter()
                result = await client.submit(AUDIO, pair=PAIR)
                assert result.state == "completed", result
                took_ms.append(1000 * (time.perf_counter() - before_s))

            before_s = cpu_s(pid)
            async with asyncio.TaskGroup() as jobs:
                next_s = time.perf_counter()
                end_s = next_s + seconds / PARTS
                while next_s < end_s:
                    await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
                    jobs.create_task(call())
                    next_s += draws.expovariate(rate)
            cuts = statistics.quantiles(took_ms, n=100)
            cpu_us = 1e6 * (cpu_s(pid) - before_s) / len(took_ms)
            parts.append(Part(len(took_ms), cuts[49], cuts[98], cpu_us, resident_mb(pid)))
            click.echo(f"{number + 1} of {PARTS}: {parts[-1]}", err=True)
    return parts


def rows_of(parts: list[Part]) -> list[Row]:
    """Return a row for each part, and the ratios of the last one to the first."""
    first, last = parts[0], parts[-1]
    rows = [
        Row(
            "steady",
            f"p99, part {number}",
            part.p99_ms,
            "ms",
            "",
            f"{part.jobs:,} jobs, p50 {part.p50_ms:.2f} ms, {part.cpu_us:.0f} us a job, {part.resident_mb:.0f} MB",
        )
        for number, part in enumerate(parts, 1)
    ]
    rows.append(Row("steady", "p99, last beside first", last.p99_ms / first.p99_ms, "x", RISE_MAX))
    rows.append(Row("steady", "memory, last beside first", last.resident_mb / first.resident_mb, "x", RISE_MAX))
    return rows


@click.command()
@click.option("--minutes", type=click.FloatRange(0.1), default=60.0, show_default=True)
@click.option("--rate", type=click.FloatRange(1), help="Jobs a second, in place of a third of the knee.")
@click.option("--check", is_flag=True, help="Exit with 1 when a limit is missed.")
def main(minutes: float, rate: float | None, check: bool) -> None:
    """Hold a scheduler at a third of its knee."""
    with tempfile.TemporaryDirectory() as folder, scheduler("embedded", log=Path(folder) / "log") as (port, pid):
        if rate is None:
            figures, _ = uvloop.run(through_scheduler(port, pid, KNEE_S))
            rate = figures[64].per_s / 3
        click.echo(f"{rate:,.0f} jobs/s for {minutes:g} minutes", err=True)
        rows = rows_of(uvloop.run(hold(port, pid, rate, 60 * minutes)))
    print_rows(rows, "bench.steady")
    sys.exit(1 if check and not all(holds(row.figure, row.goal) for row in rows if row.goal) else 0)


if __name__ == "__main__":
    main()
