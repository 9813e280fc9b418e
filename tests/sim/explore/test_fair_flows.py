"""Fair order in every order of the steps of small flows: bounds and checker hold, and planted bugs are found."""

from __future__ import annotations

import pytest

from voxpool.scheduler.core.jobs.fair import FairWaitingJobs
from voxpool.sim.checkers import KeysTakeTurns
from voxpool.sim.explore.model.flows import FLOWS
from voxpool.sim.explore.model.running import run_execution
from voxpool.sim.explore.model.turns import LONE, PRIORITY, TURN
from voxpool.sim.explore.search.depth_first import every_end
from voxpool.sim.explore.search.tally import Budget
from voxpool.sim.explore.search.walks import random_walks
from voxpool.sim.planted import fair_bugs
from voxpool.sim.planted.bugs import replaced
from voxpool.sim.world.variant import Variant

INTERLEAVINGS = {
    "fair-2-keys": 23_020,
    "fair-idle": 23_020,
    "fair-cancel": 58_170,
    "fair-all": 56_340,
}
BUGS: dict[type[FairWaitingJobs], tuple[str, int, str]] = {
    # bug: (flow, schedules within which it is found, the sentence of the check that breaks)
    fair_bugs.IgnoresKeys: ("fair-2-keys", 400, KeysTakeTurns.sentence),
    fair_bugs.IgnoresWeights: ("fair-2-keys", 400, KeysTakeTurns.sentence),
    fair_bugs.DoesNotChargeBack: ("fair-2-keys", 400, LONE),
    fair_bugs.ForgetsIdleKeys: ("fair-idle", 200, TURN),
    fair_bugs.ChargesForWhatIsCancelled: ("fair-cancel", 400, LONE),
    fair_bugs.PrioritiesAreWeights: ("fair-all", 300, PRIORITY),
}


@pytest.mark.parametrize(("flow", "interleavings"), INTERLEAVINGS.items())
def test_every_order_keeps_the_bounds(flow: str, interleavings: int) -> None:
    """A lone key is behind n - 1 starts, weights and priorities hold, every job has one end, and nothing is left."""
    tally = every_end(FLOWS[flow].execution_of(Variant()), Budget())
    assert tally.is_complete and not tally.broken, tally.broken
    assert tally.interleavings == interleavings


@pytest.mark.large
def test_random_orders_of_a_larger_flow_keep_the_bounds() -> None:
    tally = random_walks(FLOWS["fair-large"].execution_of(Variant()), 1_000, 1, Budget())
    assert tally.runs == 1_000 and not tally.broken, tally.broken


def test_the_orders_have_answers_without_a_slot() -> None:
    run = run_execution(FLOWS["fair-2-keys"].execution_of(Variant()), lambda at, steps: steps[0])
    labels = [taken.step.label for taken in run.taken]
    assert "reply select j2|1 -> nobody, j3|1 -> nobody" in labels
    assert run.broken == []


@pytest.mark.parametrize("bug", BUGS)
def test_each_planted_bug_is_found(bug: type[FairWaitingJobs]) -> None:
    flow, schedules, sentence = BUGS[bug]
    tally = every_end(FLOWS[flow].execution_of(replaced(fair=bug)), Budget(runs=schedules))
    assert sentence in tally.broken, tally.broken
