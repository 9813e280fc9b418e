"""Every interleaving is run once: the counts match combinatorics."""

from __future__ import annotations

from math import comb, factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.explore.toy_scripts import script_flows
from tests.sim.explore.toy_threads import KILL, Op, Threads, threads
from voxpool.sim.explore.model.execution import ADD, READ, WRITE, Footprint
from voxpool.sim.explore.search.depth_first import NotRepeatable, Touched, every_end, every_order, near_default
from voxpool.sim.explore.search.tally import Budget

ALL = Budget()


@pytest.mark.parametrize(
    ("lengths", "hops", "is_split", "count"),
    [
        ((4, 3), 0, False, 35),
        ((3, 3, 3), 0, False, 1680),
        pytest.param((4, 4, 4), 0, False, 34_650, marks=pytest.mark.large),
        ((4, 3), 2, False, 35),
        ((3, 3, 3), 1, False, 1680),
        ((4, 3), 0, True, 3003),
        ((4, 3), 2, True, 3003),
    ],
)
@pytest.mark.timeout(600)
def test_flows_of_script_calls_have_the_combinatorial_number_of_orders(
    lengths: tuple[int, ...], hops: int, is_split: bool, count: int
) -> None:
    """Production's queue runs on the virtual loop; hops of asyncio between two calls add no orders, separate replies
    do.
    """
    orders = factorial(sum(lengths))
    for length in lengths:
        orders //= factorial(length)
    tally = every_order(script_flows(*lengths, hops=hops, is_split=is_split), ALL)
    assert tally.is_complete
    assert tally.runs == count == (comb(14, 6) if is_split else orders)
    assert len(tally.ends) == orders, "each order of commits is an end of its own, and none comes twice"
    assert set(tally.ends.values()) == {count // orders} or is_split


@pytest.mark.parametrize(("lengths", "is_split"), [((4, 3), False), ((4, 3), True), ((3, 3, 3), False)])
@pytest.mark.parametrize("is_shared", [False, True])
def test_sleep_sets_reach_the_ends_of_script_flows(lengths: tuple[int, ...], is_split: bool, is_shared: bool) -> None:
    """One shared log makes all commits dependent; with separate logs one order stands for all of them."""
    make_execution = script_flows(*lengths, is_split=is_split, is_shared=is_shared)
    plain, pruned = every_order(make_execution, ALL), every_end(make_execution, ALL)
    assert pruned.is_complete
    assert pruned.ends.keys() == plain.ends.keys()
    assert pruned.interleavings == plain.runs
    if not is_shared:
        assert pruned.runs == 1


OPS = st.one_of(
    st.builds(Op, st.sampled_from([READ, WRITE, ADD]), st.sampled_from("xyz")),
    st.builds(Op, st.just(KILL), st.sampled_from("ABC")),
)


@given(st.lists(st.lists(OPS, min_size=1, max_size=3), min_size=2, max_size=3))
@settings(max_examples=60, deadline=None)
def test_sleep_sets_reach_the_ends_of_any_threads(programs: list[list[Op]]) -> None:
    """Whatever the threads read, write, add to or end, the ends are the same; with the skipped orders the counts add
    up.
    """
    make_execution = threads(programs)
    plain, pruned = every_order(make_execution, ALL), every_end(make_execution, ALL)
    assert plain.is_complete and pruned.is_complete
    assert pruned.ends.keys() == plain.ends.keys()
    assert pruned.runs <= plain.runs
    assert pruned.interleavings == plain.runs


KEYS = st.tuples(st.sampled_from([READ, WRITE, ADD]), st.sampled_from("xyz"))


@given(st.frozensets(KEYS, max_size=4), st.frozensets(KEYS, max_size=4))
def test_steps_are_independent_unless_a_shared_key_is_written(one: Footprint, other: Footprint) -> None:
    clash = any(key == key2 and not (mode == mode2 != WRITE) for mode, key in one for mode2, key2 in other)
    assert Touched(one).is_independent_of(Touched(other)) is not clash
    assert Touched(other).is_independent_of(Touched(one)) is not clash


def orders(left: tuple[int, ...], departures: int) -> int:
    """Count the interleavings of programs with `left` steps that leave the default order at most `departures` times."""
    first = next((thread for thread, steps in enumerate(left) if steps), None)
    if first is None:
        return 1
    return sum(
        orders((*left[:thread], steps - 1, *left[thread + 1 :]), departures - (thread != first))
        for thread, steps in enumerate(left)
        if steps and (thread == first or departures)
    )


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5])
def test_all_orders_with_few_departures_are_run_once(most: int) -> None:
    """The count matches a recursion; five departures include all orders."""
    make_execution = threads([[Op(WRITE, "x")] * 3, [Op(READ, "x")] * 3, [Op(WRITE, "x")] * 2])
    near, whole = near_default(make_execution, most, ALL), every_order(make_execution, ALL)
    assert near.is_complete and near.reached == most
    assert near.runs == orders((3, 3, 2), most)
    assert near.ends.keys() <= whole.ends.keys()
    if most == 5:
        assert near.runs == whole.runs == 560
        assert near.ends == whole.ends


def test_an_incomplete_search_is_reported() -> None:
    """It ends after a number of runs or by time; near the default order it also reports the complete number of
    departures.
    """
    make_execution = threads([[Op(WRITE, "x")] * 4] * 3)
    cut = every_order(make_execution, Budget(runs=100))
    assert not cut.is_complete and cut.runs == 100
    assert not every_end(make_execution, Budget(seconds=0.0)).is_complete
    near = near_default(make_execution, 3, Budget(runs=150))
    assert not near.is_complete and near.reached == 2


def test_a_nondeterministic_execution_is_refused() -> None:
    """A search by repetition is invalid when the same beginning leads to different steps."""
    made = 0

    def make_execution() -> Threads:
        nonlocal made
        made += 1
        return Threads([[Op(WRITE, "x")] * 2, [Op(WRITE, "y" if made == 1 else "z")]], lambda log: False)

    with pytest.raises(NotRepeatable, match="B0 w y"):
        every_order(make_execution, ALL)
