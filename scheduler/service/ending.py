"""The orderly end of a scheduler: its jobs get time to end, then those that are left are handed back.

Handed back means: the attempt is cancelled at its node, its slot is free in the store, and the job ends as failed with
the reason `stopping`, with which the client is asked to submit the same request to the next scheduler.
"""

from __future__ import annotations

import asyncio
from typing import Any

from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import DISPATCHED, WAITING
from voxpool.scheduler.web.wire.server import HURRY_S

LOOK_S = 0.02
"""The time between two looks at the jobs that are left: no event reports it."""
JOBS_A_TURN = 500
"""Jobs that are handed back before other work gets its turn."""


class Deadline:
    """The end of a stop, `seconds` after `begin`: connections, calls to the store and the claim share that time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end_s: float | None = None

    def begin(self) -> None:
        """Start the time of the stop, after that of the jobs."""
        self._end_s = asyncio.get_running_loop().time() + self._seconds

    def left_s(self, but_s: float = 0.0) -> float:
        """Return the time that is left, less `but_s` for the steps that follow; at least HURRY_S."""
        if self._end_s is None:
            return max(HURRY_S, self._seconds)
        return max(HURRY_S, self._end_s - asyncio.get_running_loop().time() - but_s)


async def drain(core: Core, seconds: float, until: list[asyncio.Future[Any]]) -> None:
    """Return when no job is unfinished, after `seconds`, or when any of `until` is done."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while core.dispatcher.unfinished and loop.time() < end_s and not any(future.done() for future in until):
        await asyncio.wait(until, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)


async def hand_back(core: Core) -> int:
    """Hand back all unfinished jobs and return how many they were; no new ones may come meanwhile.

    Waiting jobs go first: otherwise one of them would get the slot of a running job.
    """
    handed_back = 0
    while core.table.unfinished:
        for state in (WAITING, DISPATCHED):
            for jobs in core.table.shards():
                for job in [job for job in jobs if job.state == state]:
                    if job.state == state:
                        core.dispatcher.hand_back(job)
                        handed_back += 1
                        if handed_back % JOBS_A_TURN == 0:
                            await asyncio.sleep(0)
            await asyncio.sleep(0)
    core.dispatcher.leave()
    return handed_back


async def store_knows(core: Core, seconds: float) -> bool:
    """Return whether the store has answered all calls within `seconds`."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while not core.dispatcher.store_knows and loop.time() < end_s:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    return core.dispatcher.store_knows
