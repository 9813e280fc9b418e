"""Two environments of these tests: a real scheduler for clients and nodes of the SDK, and a world in virtual time.

The scheduler is one process for the whole folder. Each test has a language pair of its own, so that tests do not
interfere. Tests of minutes (leases, retention) run in the world: the same core in virtual time.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.processes import Scheduler
from tests.fundamentals.serving import Nodes
from tests.servers import BOTH, place_of
from voxpool import Client
from voxpool.sim.world.world import World

WAITING_MAX = 20
"""Waiting jobs of a pair: few, so that a test can reach the limit."""
FLAGS = ("--waiting-max", str(WAITING_MAX), "--waiting-timeout-s", "60", "--in-order-grace-s", "60")
"""Times that a test does not reach even on a busy machine."""
_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that use the scheduler process run with jobs in its memory and with jobs in Redis."""
    if "scheduler" in metafunc.fixturenames and not hasattr(metafunc.module, "scheduler"):
        metafunc.parametrize("scheduler", BOTH, indirect=True, scope="session")


@pytest.fixture(scope="session")
def scheduler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A `voxpool serve` on a free port; its jobs are in its memory, or in Redis."""
    with place_of(request.param) as place:
        running = Scheduler(tmp_path_factory.mktemp("scheduler"), *place, *FLAGS, patience_s=60)
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
    """Starts worker nodes; they drain when the test ends."""
    async with contextlib.AsyncExitStack() as stack:
        yield Nodes(scheduler, stack)


@pytest.fixture
def world() -> Iterator[World]:
    """The production core and scripts in virtual time; links take 2 ms each way.

    When the test ends, all faults are healed, all jobs end, and no checker may find a violation.
    """
    world = World(seed=7, delay_ms=2.0, store_delay_ms=0.2)
    yield world
    assert world.finish() == []
