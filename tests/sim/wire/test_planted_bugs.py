"""Bugs planted into the SDK and the endpoints are found by runs of the whole stack."""

from __future__ import annotations

import pytest

from voxpool.sim.planted.wire_bugs import WIRE_BUGS, planted
from voxpool.sim.replay.case import Case, run_case
from voxpool.sim.replay.shrink import shrink
from voxpool.sim.swarm.generated import WIRE, draw_scenario
from voxpool.sim.swarm.one_seed import play_seed

FOUND = {name: bug for name, bug in WIRE_BUGS.items() if bug.seed}
MIX_UPS = ("results are mixed up", "audio is swapped")
SHRUNK = (*MIX_UPS, "new submits overtake the repeated ones")
"""Those that the shrinker makes small within its time; docs/reports/wire.md has what becomes of the others."""
FAULTS_MAX, JOBS_MAX = 2, 20
"""What a shrunk failing run may have at most."""


@pytest.mark.parametrize("name", FOUND)
def test_its_seed_finds_it(name: str) -> None:
    """The same seed breaks nothing without the bug."""
    bug = FOUND[name]
    with planted(bug):
        assert play_seed(bug.seed, "wire").broken
    assert play_seed(bug.seed, "wire").broken == []


@pytest.mark.parametrize("name", MIX_UPS)
def test_a_mix_up_is_found_in_each_of_ten_seeds(name: str) -> None:
    """By the content of the results, which is a function of job and audio."""
    with planted(WIRE_BUGS[name]):
        found = [play_seed(seed, "wire").broken for seed in range(1, 11)]
    assert all(any("receives its own results" in line for line in broken) for broken in found)


def test_the_list_of_bugs_is_large_enough_and_names_what_is_not_found() -> None:
    """Ten and more are found; each of the others says why a run of the wire can't show it."""
    assert len(FOUND) >= 10
    assert all(bug.seed or bug.why_not for bug in WIRE_BUGS.values())


@pytest.mark.large
@pytest.mark.parametrize("name", SHRUNK)
def test_a_failing_seed_shrinks_to_few_faults_and_jobs(name: str) -> None:
    """And what is left still shows the bug."""
    bug = FOUND[name]
    case = Case(draw_scenario(bug.seed, WIRE), bug.seed)
    with planted(bug):
        found, _ = run_case(case)
        smaller = shrink(case, found)
        again, played = run_case(smaller.case)
    assert set(found.signs) & set(again.signs)
    assert len(smaller.case.scenario.faults) <= FAULTS_MAX
    assert played is not None and played.world.clients.made <= JOBS_MAX
