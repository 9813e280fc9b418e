"""Two places for these tests: a real scheduler for clients and nodes of the SDK, and a world in virtual time.

The scheduler is one process for the whole folder. Each test has a language pair of its own, so its jobs and nodes don't
meet those of other tests. What takes minutes (leases, retention) runs in the world: the same core, on virtual time.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.processes import Scheduler
from tests.fundamentals.serving import Nodes
from voxpool import Client
from voxpool.sim.world.world import World

WAITING_MAX = 20
"""Waiting jobs that a pair takes: few, so that a test can fill it."""
FLAGS = ("--waiting-max", str(WAITING_MAX), "--waiting-timeout-s", "60", "--in-order-grace-s", "60")
"""Times that a test does not reach on a machine that has other work."""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A `voxpool serve` on a free port."""
    running = Scheduler(tmp_path_factory.mktemp("scheduler"), "memory", *FLAGS)
    yield running
    assert running.stop() == 0
    assert running.events("scheduler_failed") == []


@pytest.fixture
def pair() -> str:
    """A language pair that no other test uses."""
    return f"f{next(_numbers)}:en"


@pytest.fixture
async def client(scheduler: Scheduler) -> AsyncIterator[Client]:
    """A client of the scheduler."""
    async with Client(scheduler.url) as client:
        yield client


@pytest.fixture
async def nodes(scheduler: Scheduler) -> AsyncIterator[Nodes]:
    """Starts worker nodes; they drain when the test is over."""
    async with contextlib.AsyncExitStack() as stack:
        yield Nodes(scheduler, stack)


@pytest.fixture
def world() -> Iterator[World]:
    """The production core and scripts in virtual time; links take 2 ms each way.

    When the test is over, everything broken is healed, all jobs end, and every checker must be content.
    """
    world = World(seed=7, delay_ms=2.0, store_delay_ms=0.2)
    yield world
    assert world.finish() == []
