"""With one key of one priority the order `fair` is that of the submits, in every detail of a run.

With 60 faults of each kind an hour the two orders differ in churn and storm: a job that came back from a node then goes
before all of its priority, not to the place of its submit.
"""

from __future__ import annotations

import msgspec
import pytest

from voxpool.scheduler.config import FAIR
from voxpool.sim.cli.play import SCENARIOS
from voxpool.sim.scenario.scenario import Scenario, load_scenario
from voxpool.sim.world.run import play

SECONDS = 300.0


def shortened(name: str, order: str) -> Scenario:
    """Return the beginning of a packaged scenario, in this order."""
    whole = load_scenario(SCENARIOS / f"{name}.toml")
    settings = {**whole.settings, "order": order}
    return msgspec.structs.replace(whole, duration_s=SECONDS, warmup_s=0.0, settings=settings)


@pytest.mark.parametrize("name", ["quiet", "overload", "churn", "rush", "storm"])
def test_one_key_in_fair_order_gives_the_same_trace(name: str) -> None:
    submit, fair = (play(shortened(name, order), checkers=()).run for order in ("submit", FAIR))
    assert fair["jobs"]["completed"] > 50
    assert fair["trace_hash"] == submit["trace_hash"]
