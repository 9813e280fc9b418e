"""Where jobs run: at the nodes of their clients' scheduler while these have room; none waits beside a free slot."""

from __future__ import annotations

import pytest

from tests.sim.instances.one_pool import AT_ONE, EVEN, spread_of

MEASURED_S = 2.0


def test_clients_that_are_spread_load_all_nodes_alike_without_a_hop() -> None:
    found = spread_of(0.3, EVEN, MEASURED_S)
    assert found.ratio < 1.25 and found.elsewhere == 0


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_the_nodes_of_the_only_scheduler_with_clients_are_filled_first(load: float) -> None:
    """What exceeds them goes to the others at once, evenly: no job waits for a slot."""
    found = spread_of(load, AT_ONE, MEASURED_S)
    own, *others = found.loads
    assert own > 0.8 and max(others) - min(others) < 0.1
    assert abs(own + sum(others) - 3 * load) < 0.2
    assert found.wait_ms < 2
