"""Parts of experiments in processes of their own."""

from __future__ import annotations

import os
import pickle

import pytest

from voxpool.scheduler.errors import BadInput, ConfigError, NodeRefused, Rejected, StoreUnavailable, VoxpoolError
from voxpool.sim.experiments.processes import Part, Tell, run_parts


def process_id(_tell: Tell) -> int:
    return os.getpid()


def tells(number: int, tell: Tell) -> int:
    for step in range(100):
        tell(step / 100)
    return number * number


def fails(_tell: Tell) -> int:
    raise ConfigError("wrong on purpose")


def test_each_part_has_a_process_of_its_own_and_results_keep_their_order() -> None:
    found = run_parts([Part("b", process_id), Part("a", process_id), Part("square", tells, (7,))], at_once=1)

    assert list(found) == ["b", "a", "square"]
    assert len({found["a"], found["b"], os.getpid()}) == 3
    assert found["square"] == 49


def test_a_failed_part_is_reported() -> None:
    with pytest.raises(ConfigError, match="wrong on purpose"):
        run_parts([Part("fails", fails), Part("works", process_id)])


@pytest.mark.parametrize(
    "error",
    [
        Rejected("overloaded", "full", 7),
        NodeRefused("busy", "no"),
        BadInput("long", "too long"),
        StoreUnavailable("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_ours_is_passed_unchanged_between_processes(error: VoxpoolError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_part_is_picklable() -> None:
    assert pickle.loads(pickle.dumps(Part("square", tells, (7,)))) == Part("square", tells, (7,))
