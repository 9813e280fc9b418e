"""Where jobs run: what loads a scheduler above the mean of all goes to the others; none waits beside a free slot."""

from __future__ import annotations

import pytest

from tests.sim.instances.one_pool import AT_ONE, EVEN, UNEVEN, spread_of

MEASURED_S = 4.0


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_clients_that_are_spread_load_all_nodes_alike_without_a_hop(load: float) -> None:
    found = spread_of(load, EVEN, MEASURED_S)
    assert found.ratio < 1.25 and found.elsewhere < 0.03


@pytest.mark.parametrize("clients", [AT_ONE, UNEVEN])
@pytest.mark.parametrize("load", [0.3, 0.6])
def test_wherever_the_clients_are_no_nodes_are_loaded_far_above_the_mean(
    load: float, clients: tuple[float, ...]
) -> None:
    """The others get equal parts of what is sent, and no job waits for a slot."""
    found = spread_of(load, clients, MEASURED_S)
    assert found.ratio < 1.35 and min(found.loads) > load / 2
    assert abs(sum(found.loads) - 3 * load) < 0.2
    assert found.wait_ms < 2
