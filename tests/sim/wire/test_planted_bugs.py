"""Bugs planted into the SDK and the endpoints are found by runs of the whole stack."""

from __future__ import annotations

import pytest

from voxpool.sim.planted.wire_bugs import WIRE_BUGS, planted
from voxpool.sim.replay.case import Case, run_case
from voxpool.sim.replay.shrink import shrink
from voxpool.sim.swarm.generated import WIRE, draw_scenario
from voxpool.sim.swarm.one_seed import play_seed
from voxpool.sim.world.traffic import Stream

FOUND = {name: bug for name, bug in WIRE_BUGS.items() if bug.seed}
MIX_UPS = ("results are mixed up", "audio is swapped")
SHRUNK = ("results are mixed up",)
SHRUNK_SLOWLY = (
    "new submits overtake the repeated ones",
    "audio is swapped",
    "a session without a connection forgets its jobs",
    "no gap is ever skipped",
    "the grace of a session goes on after the return",
    "only submits without an answer are sent again",
    "resume brings nothing that has ended",
    "a full buffer is never given up (R-13)",
)
"""Bugs that are shrunk in `make test-large`; docs/reports/wire.md has the table."""
RUNS_FEW, RUNS_MAX, SECONDS_MAX = 40, 250, 600.0
"""Candidates that suffice for SHRUNK and for the others, and a time that a busy machine keeps."""
FAULTS_MAX, JOBS_MAX = 2, 20
"""The maximum size of a shrunk failing run."""


@pytest.mark.parametrize("name", FOUND)
def test_each_planted_bug_is_found_by_its_seed(name: str) -> None:
    """The same seed passes without the bug."""
    bug = FOUND[name]
    with planted(bug):
        assert play_seed(bug.seed, "wire").broken
    assert play_seed(bug.seed, "wire").broken == []


@pytest.mark.parametrize("name", MIX_UPS)
def test_a_mix_up_is_found_in_each_of_four_seeds(name: str) -> None:
    """The content of the results, a function of job and audio, shows it."""
    with planted(WIRE_BUGS[name]):
        found = [play_seed(seed, "wire").broken for seed in range(1, 5)]
    assert all(any("receives its own results" in line for line in broken) for broken in found)


def test_the_list_of_bugs_is_large_enough_and_explains_missed_ones() -> None:
    """Ten and more are found; each of the others has a reason why a run of the wire can't show it."""
    assert len(FOUND) >= 10
    assert all(bug.seed or bug.why_not for bug in WIRE_BUGS.values())


@pytest.mark.parametrize(
    ("name", "runs_max"),
    [
        *((name, RUNS_FEW) for name in SHRUNK),
        *(pytest.param(name, RUNS_MAX, marks=pytest.mark.large) for name in SHRUNK_SLOWLY),
    ],
)
def test_a_failing_seed_shrinks_to_few_faults_and_jobs(name: str, runs_max: int) -> None:
    """The smaller case still shows the bug, by faults with a time and a target each."""
    bug = FOUND[name]
    case = Case(draw_scenario(bug.seed, WIRE), bug.seed)
    with planted(bug):
        found, _ = run_case(case)
        smaller = shrink(case, found, runs_max=runs_max, seconds_max=SECONDS_MAX)
        again, _ = run_case(smaller.case)
    assert found.signs[0] in again.signs
    assert len(smaller.case.scenario.faults) <= FAULTS_MAX
    assert all(fault.at_s is not None for fault in smaller.case.scenario.faults)
    assert jobs_of(smaller.case) <= JOBS_MAX


def jobs_of(case: Case) -> int:
    """Return how many jobs the traffic of a case makes; a run that dies makes fewer."""
    scenario = case.scenario
    streams = [Stream(traffic, f"t{i}", case.seed, scenario.duration_s) for i, traffic in enumerate(scenario.traffic)]
    return sum(1 for stream in streams for _ in stream.schedule())
