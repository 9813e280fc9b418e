"""The expected results: a missing, repeated or wrong result is a failure with its reason."""

from __future__ import annotations

import msgspec
import pytest

from voxpool.loadtest.users import _audio
from voxpool.loadtest.users._expected import (
    ENDED_KEPT,
    NO_RESULT,
    STRANGE,
    TWICE,
    WRONG_RESULT,
    Expected,
    Wanted,
    failure_of,
)

AUDIO = _audio.make(0.1, 7, 200)
ANSWER = _audio.answer_to(AUDIO, _audio.order_of(AUDIO))
OUTPUT = msgspec.to_builtins(ANSWER)


def waiting(*names: str, deadline_s: float = 60.0) -> Expected:
    expected = Expected(deadline_s)
    for k, name in enumerate(names):
        expected.add(Wanted(name, float(k), ANSWER))
    return expected


def test_the_right_result_once_is_no_failure() -> None:
    expected = waiting("a")
    judged = expected.came("a", "completed", OUTPUT, None)
    assert judged.failure == ""
    assert judged.wanted is not None and judged.wanted.request_id == "a"
    assert len(expected) == 0


def test_a_second_result_is_a_duplicate() -> None:
    expected = waiting("a")
    expected.came("a", "completed", OUTPUT, None)
    judged = expected.came("a", "completed", OUTPUT, None)
    assert (judged.wanted, judged.failure) == (None, TWICE)


def test_an_unexpected_result_is_a_failure() -> None:
    assert waiting("a").came("b", "completed", OUTPUT, None).failure == STRANGE


def test_after_a_reconnect_each_submit_may_have_its_result() -> None:
    """The submit was repeated, and the first result may have been in flight. A third result is one too many."""
    expected = waiting("a")
    wanted = expected.find("a")
    assert wanted is not None
    wanted.sends += 1
    failures = [expected.came("a", "completed", OUTPUT, None).failure for _ in range(3)]
    assert failures == ["", "", TWICE]


def test_a_result_after_its_deadline_is_missing_and_no_duplicate() -> None:
    expected = waiting("a", "b", "c", deadline_s=10)
    assert expected.overdue(9.9) == []
    late = expected.overdue(11.5)
    assert [wanted.request_id for wanted in late] == ["a", "b"]
    assert len(expected) == 1
    assert NO_RESULT == "no_result"
    assert [expected.came("a", "completed", OUTPUT, None).failure for _ in range(2)] == ["", TWICE]


@pytest.mark.parametrize(
    ("state", "output", "error", "failure"),
    [
        ("completed", OUTPUT, None, ""),
        ("completed", {**OUTPUT, "crc32": 1}, None, WRONG_RESULT),
        ("completed", None, None, WRONG_RESULT),
        ("completed", {**OUTPUT, "more": 1}, None, WRONG_RESULT),
        ("failed", None, "timeout", "failed:timeout"),
        ("failed", OUTPUT, None, "failed"),
        ("cancelled", None, "cancelled", "cancelled:cancelled"),
    ],
)
def test_the_errors_of_a_result(state: str, output: object, error: str | None, failure: str) -> None:
    assert failure_of(state, output, error, ANSWER) == failure


def test_with_foreign_nodes_only_the_state_counts() -> None:
    assert failure_of("completed", "hello", None, None) == ""
    assert failure_of("failed", "hello", "timeout", None) == "failed:timeout"


def test_ended_requests_are_remembered_up_to_a_bound() -> None:
    expected = Expected(60)
    for k in range(ENDED_KEPT + 500):
        expected.add(Wanted(str(k), 0.0, None))
        expected.came(str(k), "completed", None, None)
    assert expected.came(str(ENDED_KEPT + 499), "completed", None, None).failure == TWICE
    assert expected.came("0", "completed", None, None).failure == STRANGE
    assert len(expected._ended) == ENDED_KEPT
