"""The table of jobs with up to a million entries: bytes a finished job, and how long it blocks the loop.

It is compared with a plain dict that each sweep reads from end to end, measured on the same machine. Pauses are CPU
time of the thread (sim/virtual_time/pause_watch.py). Run alone: python -m bench.table [JOBS]
"""

from __future__ import annotations

import sys

from bench._rows import Row, print_rows
from voxpool.sim.experiments.leak.pauses import Pauses, before, production

JOBS = 1_000_000
BYTES_GOAL = "<= 600"
PAUSE_GOAL = "<= 5"


def run(jobs: int = JOBS) -> list[Row]:
    """Measure tables of up to `jobs` finished jobs."""
    sizes = [max(1, jobs // 10), jobs]
    ours, plain = production(sizes), before(sizes)
    at = f"up to {jobs:,} jobs"

    def pause(what: str, name: str) -> Row:
        figure, other = (max(getattr(p, name) for p in side) for side in (ours, plain))
        return Row("table", f"longest pause by {what}, {at}", figure, "ms", PAUSE_GOAL, f"plain dict {other:.3g} ms")

    return [
        Row(
            "table",
            f"bytes a resident finished job at {jobs:,}, result text apart",
            _bytes(ours),
            "B",
            BYTES_GOAL,
            f"plain dict, found by job id only {_bytes(plain):.0f} B",
        ),
        pause("sweeps", "sweep_ms"),
        pause("inserts", "insert_ms"),
        pause("the collector", "collector_ms"),
    ]


def _bytes(side: list[Pauses]) -> float:
    return side[-1].bytes_a_job


if __name__ == "__main__":
    print_rows(run(*map(int, sys.argv[1:2])), "bench.table")
