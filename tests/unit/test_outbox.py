"""Results of a session: each has one number, is kept until it is acknowledged, and stays in order over reconnects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpool.scheduler.web.sessions.results import Numbered, Outbox


def outbox_of(*keys: str, in_order: bool = False, held_max: int = 100) -> Outbox[str]:
    outbox: Outbox[str] = Outbox(1000, held_max)
    outbox.put_in_order(in_order)
    for key in keys:
        assert outbox.expect(key, True)
    return outbox


def due_ms(outbox: Outbox[str]) -> int | None:
    return outbox.due_ms


def test_results_are_sent_as_they_come_with_consecutive_numbers() -> None:
    outbox = outbox_of("a", "b")
    assert outbox.ended("b", "B", 0) == [Numbered(1, "B")]
    assert outbox.ended("a", "A", 0) == [Numbered(2, "A")]
    assert list(outbox.unacknowledged()) == [(1, "b"), (2, "a")]


def test_an_acknowledgement_covers_all_up_to_its_number() -> None:
    outbox = outbox_of("a", "b", "c")
    for key in "abc":
        outbox.ended(key, key, 0)
    outbox.acknowledge(2)
    outbox.acknowledge(1)
    assert list(outbox.unacknowledged()) == [(3, "c")]
    with pytest.raises(ValueError, match="result 4 was not sent"):
        outbox.acknowledge(4)


def test_an_expected_or_sent_result_is_not_stored_twice() -> None:
    outbox = outbox_of("a")
    assert not outbox.expect("a", True)
    outbox.ended("a", "A", 0)
    assert not outbox.expect("a", True), "the client has it, or gets it again when it resumes"
    outbox.acknowledge(1)
    assert outbox.expect("a", True), "it has it and asks for it once more"
    assert outbox.ended("a", "A", 0) == [Numbered(2, "A")]


def test_a_client_without_acknowledgements_gets_repeated_submits_answered() -> None:
    outbox = outbox_of("a")
    outbox.keeps = False
    outbox.ended("a", "A", 0)
    assert len(outbox) == 0 and outbox.expect("a", True)


def test_a_buffered_result_keeps_its_position_when_it_is_submitted_again() -> None:
    """This is R-14.

    After a reconnect the client submits all again; the buffered result was delivered twice, and later ones overtook it.
    """
    outbox = outbox_of("a", "b", "c", in_order=True)
    assert outbox.ended("b", "B", 0) == []
    assert [outbox.expect(key, True) for key in "abcd"] == [False, False, False, True]
    assert outbox.ended("d", "D", 0) == []
    assert outbox.ended("a", "A", 0) == [Numbered(1, "A"), Numbered(2, "B")]
    assert outbox.ended("c", "C", 0) == [Numbered(3, "C"), Numbered(4, "D")]


def test_ordering_may_change_with_a_reconnect() -> None:
    outbox = outbox_of("a", "b", "c")
    assert outbox.put_in_order(True) == []
    assert outbox.ended("b", "B", 0) == [] and due_ms(outbox) == 1000
    assert outbox.put_in_order(True) == []
    assert outbox.put_in_order(False) == [Numbered(1, "B")] and due_ms(outbox) is None
    assert outbox.ended("c", "C", 0) == [Numbered(2, "C")]


def test_only_own_jobs_are_given_up_with_the_session() -> None:
    outbox = outbox_of("a", "b")
    outbox.expect("others", False)
    outbox.ended("a", "A", 0)
    assert (outbox.own, outbox.expected) == (["b"], ["b", "others"])


@given(st.lists(st.sampled_from(["end", "ack", "break", "lose", "gap"]), max_size=60), st.booleans(), st.randoms())
def test_each_result_is_handled_once_and_in_order_under_failures(
    acts: list[str], in_order: bool, chance: object
) -> None:
    """The client is like the SDK: it handles results with a higher number than the last, and repeats open submits."""
    outbox = outbox_of(in_order=in_order)
    keys = [str(number) for number in range(10)]
    ended: set[str] = set()
    handled: list[str] = []
    last, now_ms, is_deaf = 0, 0, False

    def resubmit() -> None:
        for key in keys:
            if key not in handled and outbox.expect(key, True) and key in ended:
                arrive(outbox.ended(key, key, now_ms))

    def arrive(sent: list[Numbered[str]]) -> None:
        nonlocal last
        for number, key in sent:
            if not is_deaf and number > last:
                assert number == last + 1
                last = number
                handled.append(key)

    def reconnect() -> None:
        nonlocal is_deaf
        is_deaf = False
        outbox.acknowledge(last)
        arrive([Numbered(number, key) for number, key in outbox.unacknowledged()])
        resubmit()

    resubmit()
    for act in acts:
        now_ms += 300
        if act == "end" and len(ended) < len(keys):
            key = chance.choice([key for key in keys if key not in ended])  # type: ignore[attr-defined]
            ended.add(key)
            arrive(outbox.ended(key, key, now_ms))
        elif act == "ack" and not is_deaf:
            outbox.acknowledge(last)
        elif act == "break":
            reconnect()
        elif act == "lose":
            is_deaf = True
        elif act == "gap" and (skip_ms := due_ms(outbox)) is not None:
            now_ms = max(now_ms, skip_ms)
            arrive(outbox.skip_gap(now_ms))
    for key in keys:
        if key not in ended:
            ended.add(key)
            arrive(outbox.ended(key, key, now_ms))
    reconnect()
    assert sorted(handled) == keys
    if in_order and "gap" not in acts:
        assert handled == keys
    outbox.acknowledge(last)
    assert len(outbox) == 0 and outbox.expected == []
