"""Counts the connections that a scheduler has closed, by reason, from its metrics."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator

import httpx

from tests.e2e.processes import PATIENCE_S, Scheduler

LOOK_S = 0.02
PEERS_ABORTED = re.compile(r'voxpool_peers_aborted_total\{reason="(\w+)"\} (\S+)')


@contextlib.asynccontextmanager
async def cut_off(scheduler: Scheduler, **expected: int) -> AsyncIterator[None]:
    """Check that within the block connections are closed as `expected`: reason -> number, and no others."""
    before = await cut_offs(scheduler)
    yield
    async with asyncio.timeout(PATIENCE_S):
        while (now := await cut_offs(scheduler)).total() < before.total() + sum(expected.values()):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
    assert now - before == Counter(expected)


async def cut_offs(scheduler: Scheduler) -> Counter[str]:
    """Return how many connections were closed so far, by reason."""
    async with httpx.AsyncClient(base_url=scheduler.url, trust_env=False) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    found = [PEERS_ABORTED.fullmatch(line) for line in lines]
    return Counter({match[1]: int(float(match[2])) for match in found if match})
