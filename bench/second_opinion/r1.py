"""The race R1 in seven plain steps, explored by frontrun and by simloom: orders run, outcomes, seconds.

The four steps of a redispatch (read, draw, write, send) meet the three of an offline (sim/experiments/race/without/
seven_steps.py has the same for our explorer). `python -m bench.second_opinion.r1 frontrun` or `simloom`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import Any

DYING, LIVING = "dying", "living"
PICKS = (0, 1)
"""The draws that differ: with both nodes in the pool, one takes the dying node and one the living node."""

DELAYS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
"""For simloom: departures from the default order at most."""


class Shared:
    """What both parts use. `end` is the outcome of the redispatch."""

    def __init__(self, pick: int) -> None:
        self.pick = pick
        self.connected = True
        self.pool = [DYING, LIVING]
        self.has_key = True
        self.end = ""


async def redispatch(shared: Shared) -> None:
    """Read the job, draw a node, write the assignment, send it."""
    await asyncio.sleep(0)
    drawn = shared.pool[shared.pick % len(shared.pool)]
    await asyncio.sleep(0)
    if drawn == DYING and not shared.has_key:
        shared.end = "parked"
    await asyncio.sleep(0)
    if not shared.end:
        shared.end = "fine" if drawn == LIVING else "timed_out" if shared.connected else "failed"


async def offline(shared: Shared) -> None:
    """The connection goes, the node leaves the pools, its key goes."""
    shared.connected = False
    await asyncio.sleep(0)
    shared.pool = [LIVING]
    await asyncio.sleep(0)
    shared.has_key = False


def by_frontrun(pick: int, outcomes: Counter[str]) -> tuple[int, str]:
    """Explore all orders by DPOR; return their number and what is said about completeness."""
    import frontrun

    def seen(shared: Shared) -> bool:
        outcomes[shared.end] += 1
        return True

    result = asyncio.run(
        frontrun.explore(
            setup=lambda: Shared(pick),
            workers=[redispatch, offline],
            invariant=seen,
            preemption_bound=None,
            stop_on_first=False,
            reproduce_on_failure=0,
        )
    )
    return result.num_explored, f"holds: {result.property_holds}, exhausted: {result.exhausted}"


def by_simloom(pick: int, outcomes: Counter[str]) -> tuple[int, str]:
    """Enumerate all orders; return their number and what is said about completeness."""
    import simloom

    async def main() -> None:
        shared = Shared(pick)
        async with asyncio.TaskGroup() as group:
            group.create_task(redispatch(shared))
            group.create_task(offline(shared))
        outcomes[shared.end] += 1

    result: Any = simloom.explore_systematic(main, max_delays=DELAYS, world=False)
    return result.schedules, f"exhaustive: {result.exhaustive}"


def main() -> None:
    """Print a line for each pick."""
    explore = {"frontrun": by_frontrun, "simloom": by_simloom}[sys.argv[1]]
    for pick in PICKS:
        outcomes: Counter[str] = Counter()
        began = time.perf_counter()
        orders, whole = explore(pick, outcomes)
        print(f"draw {pick}: {orders} orders, {time.perf_counter() - began:.2f} s, {dict(outcomes)}, {whole}")


if __name__ == "__main__":
    main()
