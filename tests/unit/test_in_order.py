"""Results of a session in the order of its submits: held back, sent, skipped, and never lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpool.scheduler.protocol.in_order import InOrder


def order_of(*keys: str, grace_ms: int = 1000, held_max: int = 100) -> InOrder[str]:
    order: InOrder[str] = InOrder(grace_ms, held_max)
    for key in keys:
        order.submitted(key)
    return order


def due_ms(order: InOrder[str]) -> int | None:
    return order.due_ms


@pytest.mark.parametrize("coming", list(itertools.permutations("abcd")))
def test_results_are_sent_in_the_order_of_the_submits(coming: tuple[str, ...]) -> None:
    order = order_of(*"abcd")
    out = [result for key in coming for result in order.ended(key, key.upper(), 0)]
    assert out == list("ABCD")
    assert len(order) == 0 and due_ms(order) is None


def test_the_position_survives_an_empty_buffer() -> None:
    """R17: utterance 0 was sent, the empty buffer lost its position, and 1 to 4 were stuck."""
    order = order_of()
    for number in range(5):
        order.submitted(f"u{number}")
        assert order.ended(f"u{number}", f"result {number}", 0) == [f"result {number}"]


def test_a_gap_is_skipped_after_its_grace_and_a_late_result_is_sent_at_once() -> None:
    order = order_of(*"abcd")
    assert order.ended("c", "C", 100) == []
    assert order.ended("b", "B", 600) == []
    assert due_ms(order) == 1100
    assert order.skip_gap(1099) == []
    assert order.skip_gap(1100) == ["B", "C"]  # b is before c, so it doesn't wait for its own grace
    assert due_ms(order) is None
    assert order.ended("a", "A", 5000) == ["A"]
    assert order.ended("d", "D", 5001) == ["D"]


def test_past_the_bound_the_gap_is_skipped_at_once() -> None:
    order = order_of(*"abcd", held_max=2)
    assert order.ended("b", "B", 0) == []
    assert order.ended("c", "C", 0) == []
    assert order.ended("d", "D", 0) == ["B", "C", "D"]


def test_nothing_is_released_when_nothing_is_held() -> None:
    assert order_of("a").release() == []


def test_a_result_without_a_position_is_sent_at_once() -> None:
    order = order_of("a", "b")
    assert order.ended("x", "X", 0) == ["X"]


def test_a_repeated_submit_keeps_its_position_until_its_result_arrives() -> None:
    order = order_of("a", "b", "a")
    assert order.ended("b", "B", 0) == []
    assert order.ended("a", "A", 0) == ["A", "B"]
    order.submitted("a")
    assert order.ended("a", "A again", 0) == ["A again"]


@given(st.permutations(list(range(12))), st.lists(st.integers(0, 400), min_size=12, max_size=12), st.integers(1, 12))
def test_each_result_is_sent_once_and_held_for_its_grace_at_most(
    coming: list[int], pauses: list[int], held_max: int
) -> None:
    order: InOrder[int] = InOrder(1000, held_max)
    for number in range(12):
        order.submitted(str(number))
    now_ms = 0
    came_ms: dict[int, int] = {}
    out: list[int] = []

    def note(results: list[int]) -> None:
        for result in results:
            assert now_ms - came_ms[result] <= 1000
            out.append(result)

    for number, pause_ms in zip(coming, pauses, strict=True):
        until_ms = now_ms + pause_ms
        while (due_ms := order.due_ms) is not None and due_ms <= until_ms:
            now_ms = due_ms
            note(order.skip_gap(now_ms))
        now_ms = until_ms
        came_ms[number] = now_ms
        note(order.ended(str(number), number, now_ms))
        assert len(order) <= held_max
    now_ms += 1000
    note(order.skip_gap(now_ms))
    assert sorted(out) == list(range(12))
