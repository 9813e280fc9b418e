"""The number of users of each shape over time, and the effect of -u, -r and -t."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpool.loadtest.options._options import LoadOptions, ShapeName
from voxpool.loadtest.running._shapes import DEFAULTS, Common, shape_of


def test_steady_follows_locusts_own_options() -> None:
    """-u users at -r a second for -t; without -t for ever."""
    shape = shape_of(LoadOptions(), Common(200, 50.0, 30))
    assert (shape.users(0), shape.users(29.9), shape.users(30)) == (200, 200, None)
    assert (shape.spawn_rate, shape.run_time_s, shape.users_max) == (50.0, 30, 200)
    assert shape_of(LoadOptions(), Common(7, 1.0)).users(1e9) == 7


def test_steps_rise_evenly_to_the_requested_users() -> None:
    """Eight steps of 20 s by default; -t cuts them."""
    shape = shape_of(LoadOptions(shape="steps"), Common(80, 100.0))
    assert [shape.users(at_s) for at_s in range(0, 161, 20)] == [10, 20, 30, 40, 50, 60, 70, 80, None]
    cut = shape_of(LoadOptions(shape="steps"), Common(80, 100.0, 50))
    assert [cut.users(at_s) for at_s in (0, 39, 40, 49.9, 50)] == [10, 20, 30, 30, None]


def test_a_spike_is_in_the_middle() -> None:
    """Before and after it the load is the same."""
    shape = shape_of(LoadOptions(shape="spike", spike_factor=3, spike_s=10), Common(20, 100.0, 60))
    assert [shape.users(at_s) for at_s in (0, 24.9, 25, 34.9, 35, 59.9, 60)] == [20, 20, 60, 60, 20, 20, None]
    assert shape_of(LoadOptions(shape="spike"), Common(20, 100.0, 4)).users(0) == 100, "no longer than the run"


@pytest.mark.parametrize("name", get_args(ShapeName))
def test_each_shape_has_defaults(name: ShapeName) -> None:
    """Each runs without -u, -r and -t, and all except steady end by themselves."""
    shape = shape_of(LoadOptions(shape=name), Common())
    assert shape.users(0) and shape.spawn_rate > 0
    assert math.isinf(shape.run_time_s) == (name == "steady")
    assert name in DEFAULTS


@given(
    st.sampled_from(get_args(ShapeName)),
    st.integers(0, 10_000),
    st.floats(0.5, 1e5),
    st.floats(0, 2e5),
)
def test_no_shape_exceeds_its_users_or_its_time(name: ShapeName, users: int, run_time_s: float, at_s: float) -> None:
    shape = shape_of(LoadOptions(shape=name), Common(users, 10.0, run_time_s))
    now = shape.users(at_s)
    assert now is None or 0 <= now <= shape.users_max
    assert shape.run_time_s <= run_time_s * 1.000001
    assert (now is None) == (at_s >= shape.run_time_s) or math.isclose(at_s, shape.run_time_s, rel_tol=1e-9)
