"""The world of these tests: one production scheduler on virtual time, with links that take 2 ms each way."""

from collections.abc import Iterator

import pytest

from voxpool.sim.world.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A world that, when the test is over, must have kept every promise that its checkers know of."""
    world = World(seed=7, delay_ms=2.0, store_delay_ms=0.2)
    yield world
    assert world.finish() == []
