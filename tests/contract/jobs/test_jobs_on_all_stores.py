"""Every store answers the calls of lua/jobs/ as the contracts in their heads say, and reaches the same state.

VOXPOOL_CONTRACT_EXAMPLES=2000 makes it run longer, with new random examples.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.jobs.driver import KINDS, Driver, random_steps
from tests.contract.sides import MemorySide, ServerSide, Side
from tests.contract.steps import START_MS
from voxpool.scheduler.config import FAIR, SUBMIT
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import Bounds, Submit
from voxpool.scheduler.stores.script_sources import JOBS, load_sources

EXAMPLES = int(os.environ.get("VOXPOOL_CONTRACT_EXAMPLES", "0"))
BATCH = 16
BOUNDS = Bounds(1000, 10**9, 1000)
_STEP = st.tuples(
    st.sampled_from([kind for kind, often in KINDS.items() for _ in range(often)]), st.integers(0, 2**32 - 1)
)


@settings(
    max_examples=EXAMPLES or 12,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(_STEP, min_size=30, max_size=60),
    skew_ms=st.sampled_from([0, 2_000, -3_000]),
    order=st.sampled_from([SUBMIT, FAIR]),
)
def test_random_calls_get_the_expected_answers_and_state(
    job_sides: list[Side], steps: list[tuple[str, int]], skew_ms: int, order: str
) -> None:
    """Calls are repeated, data and scripts are lost, schedulers die, clocks differ; compared after every step."""
    driver = Driver(job_sides, skew_ms, order)
    for kind, number in steps:
        driver.step(kind, number)


def test_random_calls_in_cluster_mode(cluster_sides: list[Side]) -> None:
    """A server in cluster mode refuses keys of other slots, also from within a script."""
    driver = Driver(cluster_sides)
    for kind, number in random_steps(7, 150):
        driver.step(kind, number)


def test_a_long_run_matches_the_expected_behaviour() -> None:
    """Thousands of steps on the memory store reach every word that a script may answer, and every kind of mail."""
    reached: Counter[str] = Counter()
    for seed, skew_ms in enumerate((0, 2_000, -3_000)):
        driver = Driver([MemorySide(layout=JOBS)], skew_ms)
        for kind, number in random_steps(seed, 1_000):
            driver.step(kind, number)
        reached += driver.reached
    expected = {
        *("submit: WAIT", "submit: GRANT", "submit: KNOWN", "submit: CONFLICT", "submit: FULL", "take: data"),
        *("finish: OK", "finish: LATE", "requeue: OK", "requeue: ENDED", "requeue: LATE", "mine: data", "sweep: data"),
        *(
            "cancel: OK",
            "cancel: ENDED",
            "cancel: KEPT",
            "cancel: GONE",
            "claim: OK",
            "claim: GONE",
            "find: data",
            "place: data",
            "due: data",
        ),
        *("beat: OK", "beat: NEW", "beat: LAPSED", "mail: ALL", "mail: MORE"),
        *(
            "mail: come",
            "mail: end",
            "mail: read",
            "mail: probe",
            "mail: replaced",
            "nodes: OK",
            "nodes: TAKEN",
            "mail: moved",
            "mail: stop",
            "mail: born",
            "mail: look",
        ),
    }
    assert expected - set(reached) == set()


def test_every_file_is_a_script_or_included_by_one() -> None:
    assert set(load_sources(JOBS.folder)) == {
        *("submit", "take", "finish", "requeue", "cancel", "claim", "mail", "beat", "due", "mine", "sweep", "find"),
        *("nodes", "place", "list"),
    }
    assert all("@include" not in source.text for source in load_sources(JOBS.folder).values())


def test_the_keys_of_a_partition_are_in_one_slot(job_sides: list[Side]) -> None:
    """They share the hash tag, so each script runs on a cluster; another partition has other keys."""
    keys = JOBS.keys(7)
    assert {key[key.index("{") : key.index("}") + 1] for key in keys} == {"{7}"}
    assert not set(keys) & set(JOBS.keys(8)) and len(set(keys)) == len(keys)


def test_a_declined_invitation_goes_to_the_next_that_is_hungry(job_sides: list[Side]) -> None:
    for side in job_sides:
        side.clear()
        for name in ("A", "B"):
            side.run([calls.beat(name, START_MS, 10_000, 8_000, 500, True)])
            side.run([calls.take(name, START_MS, 0, [("a:b", 1, True)])])
        job = Submit("0.1", "a:b", False, 0, 3, 10, "c", "", "m")
        side.run([calls.submit("C", START_MS, 0, 8_000, BOUNDS, [job])])
        assert (_invitations(side, "A"), _invitations(side, "B")) == (["a:b"], []), side.name
        side.run([calls.take("A", START_MS, 0, [("a:b", 0, False)])])
        assert _invitations(side, "B") == ["a:b"], side.name


def _invitations(side: Side, name: str) -> list[str]:
    """Return the pairs for which the scheduler was invited."""
    ((_, *letters),) = side.run([calls.mail(name, "0" * 16, 500)])
    return [letter.rest for letter in map(calls.mail_of, letters) if letter.kind == "come"]


def test_commands_of_a_job_are_few(job_sides: list[Side]) -> None:
    """A server counts at most 7 commands a job at its own node and 15 elsewhere, in batches of 16."""
    for side in job_sides:
        if isinstance(side, ServerSide):
            assert _commands_a_job(side, elsewhere=False) <= 7, side.name
            assert _commands_a_job(side, elsewhere=True) <= 15, side.name


def _commands_a_job(side: ServerSide, elsewhere: bool) -> float:
    side.clear()
    side.run([calls.beat(name, START_MS, 10_000, 8_000, 500, True) for name in ("A", "B")])
    node = "B" if elsewhere else "A"
    if elsewhere:
        side.run([calls.take(node, START_MS, 0, [("a:b", BATCH, True)])])
    before = commands_of(side)
    for batch in range(4):
        jobs = [Submit(f"0.{batch}-{n}", "a:b", not elsewhere, 0, 3, 10, "c", "", "m") for n in range(BATCH)]
        side.run([calls.submit("A", START_MS, 0, 8_000, BOUNDS, jobs)])
        taken = [job.job_id for job in jobs]
        if elsewhere:
            (answer,) = side.run([calls.take(node, START_MS, 0, [("a:b", BATCH + 1, True)])])
            taken = [row.job_id for row in calls.taken_of(answer)]
        (answer,) = side.run([calls.finish(node, START_MS, [(job_id, 1, "c", "out") for job_id in taken])])
        assert answer == ["OK", "A"] * BATCH
        if elsewhere:
            side.run([calls.mail("A", "9" * 16, 500)])
    return (commands_of(side) - before) / (4 * BATCH)


def commands_of(side: ServerSide) -> int:
    """Return how many commands the server has run."""
    stats = cast(dict[str, dict[str, int]], side.info("commandstats"))
    return sum(one["calls"] for name, one in stats.items() if name != "cmdstat_info")
