"""The stores of the comparison, started once for all tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.contract.sides import Side, Sides
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.core.seams import ScriptRunner
from voxpool.scheduler.errors import StoreUnavailable

PATIENCE_S = 20.0


@pytest.fixture(scope="session")
def sides() -> Iterator[list[Side]]:
    """Memory, a redis-server, the embedded Valkey and fakeredis."""
    with Sides() as opened:
        yield opened.all()


async def run_when_back(store: ScriptRunner, calls: list[ScriptCall]) -> list[list[str]]:
    """Repeat `calls` until they are answered, as the script queue does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await store.run(calls)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
