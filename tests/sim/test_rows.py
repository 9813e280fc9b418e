"""Each variant without a fix can be built and played, so that it still fits production."""

from __future__ import annotations

import pytest

from voxpool.scheduler.errors import ConfigError
from voxpool.sim.experiments.without import VARIANTS, variant_without
from voxpool.sim.world.variant import Variant
from voxpool.sim.world.world import World


@pytest.mark.parametrize("row", list(VARIANTS))
def test_a_variant_plays(row: str) -> None:
    """Without faults most of them work: the defect shows only under a fault."""
    world = World(variant=variant_without(row), checkers=())
    world.add_nodes(2, pairs=["zh:en"])
    world.run(for_s=1)
    jobs = [world.submit("zh:en", work_s=0.5) for _ in range(2)]
    world.run(for_s=5)
    assert [job.state for job in jobs] == ["completed", "completed"]
    world.close()


def test_without_a_row_the_variant_is_production() -> None:
    assert variant_without("") == Variant()


def test_an_unknown_row_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no variant for the defect 'R211'"):
        variant_without("R211")
