"""A world for each test; at its end all faults heal, all jobs end, and no checker may have found a violation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voxpool.sim.world.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """One scheduler on virtual time with seed 1, no delays and default settings."""
    world = World(seed=1)
    yield world
    assert world.finish() == []
