"""Every store gives the same answers and reaches the same state, as the design requires.

VOXPOOL_CONTRACT_EXAMPLES=2000 makes it run longer, with new random examples.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.driver import KINDS, Driver, random_steps
from tests.contract.sides import MemorySide, ServerSide, Side
from voxpool.scheduler.core.scripts import ScriptCall, lapsed_nodes, register_node, release_job
from voxpool.scheduler.errors import ScriptFailed

EXAMPLES = int(os.environ.get("VOXPOOL_CONTRACT_EXAMPLES", "0"))
_STEP = st.tuples(
    st.sampled_from([kind for kind, often in KINDS.items() for _ in range(often)]), st.integers(0, 2**32 - 1)
)


@settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(_STEP, min_size=50, max_size=100), skew_ms=st.sampled_from([0, 2_000, -3_000]))
def test_random_calls_get_the_same_answers_and_leave_the_same_state(
    sides: list[Side], steps: list[tuple[str, int]], skew_ms: int
) -> None:
    """Calls are repeated, data and scripts are lost, leases expire, two clocks differ; compared after every step."""
    driver = Driver(sides, skew_ms)
    for kind, number in steps:
        driver.step(kind, number)


def test_a_long_run_matches_the_expected_behaviour() -> None:
    """Tens of thousands of steps on the memory store, against the plain model."""
    for seed, skew_ms in enumerate((0, 2_000, -3_000, 0, 40_000)):
        driver = Driver([MemorySide()], skew_ms)
        for kind, number in random_steps(seed, 3_000):
            driver.step(kind, number)


def test_the_random_calls_reach_every_answer() -> None:
    """Otherwise the comparison would cover less than it seems to."""
    reached: Counter[str] = Counter()
    for seed in range(3):
        driver = Driver([MemorySide()], 2_000)
        for kind, number in random_steps(seed, 3_000):
            driver.step(kind, number)
        reached += driver.reached
    expected = {
        *("register_node: OK", "register_node: TAKEN", "register_node: data"),
        *("heartbeat: OK", "heartbeat: UNKNOWN", "heartbeat: REPLACED"),
        *("node_offline: OK", "node_offline: UNKNOWN", "node_offline: REPLACED", "node_offline: ALIVE"),
        *("drain_node: OK", "drain_node: UNKNOWN", "drain_node: REPLACED", "select_node: AGAIN", "select_node: data"),
        *("release_job: data", "expire_reservations: data", "lapsed_nodes: data", "node_offline: data"),
        *("select_explained: AGAIN", "select_explained: data"),
    }
    missing = {word for word in expected if reached[word] < 5}
    assert not missing, reached


def test_lost_scripts_are_loaded_again_and_reported(sides: list[Side]) -> None:
    """NOSCRIPT may mean that the data are lost as well, so listeners are notified; the calls are executed."""
    calls = [release_job(["j|1"]), lapsed_nodes(1, 10)]
    for side in sides:
        side.clear()
        assert side.run(calls) == [[""], []]
        side.lose_scripts()
        restarts = side.store.restarts if isinstance(side, ServerSide) else 0
        assert side.run(calls) == [[""], []]
        if isinstance(side, ServerSide):
            assert side.store.restarts == restarts + 1


def test_only_the_six_keys_are_written(sides: list[Side]) -> None:
    """Every script uses its KEYS only, and an empty key is removed."""
    servers = [side for side in sides if isinstance(side, ServerSide)]
    driver = Driver(servers)
    for kind, number in random_steps(5, 200):
        driver.step(kind, number)
        for side in servers:
            assert side.keys() == {f"vp:{{0}}:{family}" for family in side.dump()}


def test_an_invalid_call_fails_alone(sides: list[Side]) -> None:
    """The other calls of its flush are executed."""
    wrong = ScriptCall("register_node", [])
    release, register = release_job(["j|1"]), register_node(1, 10, "n", "g", "p", 1, "", ["a:b"], "", [])
    for side in sides:
        if side.name != "fakeredis":  # it executes calls one by one
            side.clear()
            with pytest.raises(ScriptFailed, match=wrong.name):
                side.run([release, wrong, register])
            assert side.dump()["leases"] == [("n", "11")]
            assert side.run([release]) == [[""]]
