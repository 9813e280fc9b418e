"""The SDK's batches in virtual time: ten GPUs that take 0.2 s for a call and 0.05 s more for each of its jobs."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from voxpool.scheduler.engines import Batch, Work
from voxpool.scheduler.sdk.worker_node import Worker
from voxpool.sim.play import play
from voxpool.sim.scenario.scenario import parse_scenario
from voxpool.sim.wire import peers
from voxpool.sim.wire.ledger import output_of

NODES, BATCH_MAX = 10, 8
CALL_S, JOB_S = 0.2, 0.05
CEILING_PER_S = NODES * BATCH_MAX / (CALL_S + BATCH_MAX * JOB_S)
"""133 jobs/s, when all batches are full."""
WARMUP_S, DURATION_S = 4.0, 16.0


class Batching:
    """Replaces the function of simulated nodes by a batch; `sizes` has the batches after the warm-up."""

    def __init__(self, gather_ms: float) -> None:
        self.gather_ms = gather_ms
        self.sizes: list[int] = []

    def worker(self, *arguments: Any, **options: Any) -> Worker:
        """Return the SDK's worker of a node, with batches and their slots."""
        options |= {"work": Batch(self._work, BATCH_MAX, self.gather_ms), "slots": None}
        return Worker(*arguments, **options)

    async def _work(self, works: list[Work]) -> list[dict[str, str]]:
        if WARMUP_S <= asyncio.get_running_loop().time() < DURATION_S:
            self.sizes.append(len(works))
        await asyncio.sleep(CALL_S + JOB_S * len(works))
        return [output_of(work.job_id, work.audio) for work in works]


@contextmanager
def batching(gather_ms: float) -> Iterator[Batching]:
    with pytest.MonkeyPatch.context() as patch:
        found = Batching(gather_ms)
        patch.setattr(peers, "Worker", found.worker)
        yield found


def driven(rate_per_s: float, gather_ms: float) -> tuple[float, float, float]:
    """Return jobs/s that were begun, the mean size of the batches and the median time of a job in s."""
    scenario = parse_scenario(
        {
            "name": "batching",
            "ends": "wire",
            "duration_s": DURATION_S,
            "warmup_s": WARMUP_S,
            "settings": {"waiting_timeout_s": 60},
            "links": {"delay_ms": 1},
            "nodes": [{"count": NODES, "pairs": ["zh:en"], "slots": 2 * BATCH_MAX}],
            "traffic": [{"pair": "zh:en", "rate_per_s": rate_per_s, "work_s": 1, "sessions": 10, "audio_bytes": 100}],
        },
        "test",
    )
    with batching(gather_ms) as found:
        played = play(scenario)
    assert played.broken == []
    sojourn_s = statistics.median(played.world.recorder.sojourn_s)
    return sum(found.sizes) / (DURATION_S - WARMUP_S), statistics.mean(found.sizes), sojourn_s


def test_batches_reach_nine_tenths_of_the_ceiling() -> None:
    """At 120 jobs/s, 90 % of the ceiling, all jobs are worked on at once; above it batches are full."""
    per_s, size, median_s = driven(120, gather_ms=10)
    print(f"120/s: {per_s:.0f} jobs/s in batches of {size:.1f}, median {median_s:.2f} s")
    assert per_s >= 0.97 * 120 and median_s < 2
    per_s, size, _ = driven(160, gather_ms=10)
    print(f"160/s: {per_s:.0f} jobs/s of {CEILING_PER_S:.0f} in batches of {size:.1f}")
    assert 0.9 * CEILING_PER_S <= per_s <= 1.02 * CEILING_PER_S
