"""select_node: which node gets a job, and the answer to a repeated call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.lua.desk import LEASE_MS, NOW_MS, RESERVATION_MS, Desk


def test_a_slot_is_taken_and_fenced_in_the_same_step(desk: Desk) -> None:
    desk.register("n", "g-7", slots=2)
    assert desk.select("a|1") == ("n", "g-7")
    dump = desk.dump()
    assert dump["held"] == [("n|a|1", "0")]
    assert dump["reservations"] == [("a|1", "n")]
    assert dump["due"] == [("a|1", str(NOW_MS + RESERVATION_MS))]


def test_a_repeated_call_answers_the_same_node_and_takes_nothing_more(desk: Desk) -> None:
    """The generation is the current one: the node may have registered again and kept the job."""
    for node in ("a", "b", "c"):
        desk.register(node, slots=2)
    node, _ = desk.select("j|1")
    before = desk.dump()
    assert [desk.select("j|1") for _ in range(5)] == [(node, "g-1")] * 5
    assert desk.dump() == before
    desk.register(node, "g-2", slots=2, keep=["j|1"])
    assert desk.select("j|1") == (node, "g-2")


def test_another_attempt_of_the_job_is_another_reservation(desk: Desk) -> None:
    desk.register("n", slots=2)
    desk.select("j|1")
    desk.select("j|2")
    assert desk.family("held") == ["n|j|1", "n|j|2"]


def test_a_full_node_leaves_the_pool(desk: Desk) -> None:
    desk.register("n", slots=2)
    desk.register("m", slots=2, pairs=["en:zh"])
    wants = [desk.want("a|1"), desk.want("b|1"), desk.want("c|1"), desk.want("d|1", pair="en:zh")]
    assert desk.select_all(*wants) == [("n", "g-1"), ("n", "g-1"), ("", ""), ("m", "g-1")]
    assert desk.select_all(wants[0], wants[2]) == [("n", "g-1"), ("", "")]
    assert desk.family("capacity") == ["en:zh|m"]


def test_without_room_nobody_is_answered(desk: Desk) -> None:
    """Dead, full, draining and foreign nodes are removed until the last one with room is found."""
    for number in range(30):
        desk.register(f"dead-{number}")
    desk.now_ms += LEASE_MS
    for number in range(30):
        desk.register(f"full-{number}", pairs=["zh:en", "en:zh"])
        desk.select(f"job-{number}|1", pair="en:zh", prefer=f"full-{number}")
    desk.register("last")
    assert desk.select("j|1") == ("last", "g-1")
    assert desk.select("k|1") == ("", "")
    assert [entry for entry in desk.family("capacity") if entry.startswith("zh:en|")] == []


def test_a_pair_must_be_asked_again_when_the_removals_run_out(desk: Desk) -> None:
    """Redis must not be blocked for long; another pair is served all the same, and the next call gets further."""
    for number in range(10):
        desk.register(f"dead-{number}")
    desk.now_ms += LEASE_MS
    desk.register("n", pairs=["en:zh"])
    first = desk.select_all(desk.want("a|1"), desk.want("b|1"), desk.want("c|1", pair="en:zh"), removals_max=4)
    assert first == [("", "AGAIN"), ("", "AGAIN"), ("n", "g-1")]
    assert len(desk.family("capacity")) == 6
    assert desk.select_all(desk.want("a|1"), removals_max=3) == [("", "AGAIN")]
    assert desk.select_all(desk.want("a|1"), removals_max=3) == [("", "")]  # that was the last one


def test_a_lease_ends_at_its_end(desk: Desk) -> None:
    desk.register("n", slots=2)
    desk.now_ms += LEASE_MS - 1
    assert desk.select("a|1") == ("n", "g-1")
    desk.now_ms += 1
    assert desk.select("b|1") == ("", "")


def loaded(desk: Desk, node: str, slots: int, held: int) -> None:
    """Register a node that has reservations already."""
    desk.register(node, slots=slots, keep=[f"{node}-{number}|1" for number in range(held)])


@pytest.mark.parametrize("avoid", [(), ("two", "three")])
def test_the_less_loaded_of_the_drawn_nodes_is_taken(desk: Desk, avoid: Sequence[str]) -> None:
    """Load is held/slots: one of two is more than one of three, in any order of the draws."""
    loaded(desk, "two", 2, 1)
    loaded(desk, "three", 3, 1)
    for number in range(20):
        assert desk.select(f"a|{number}", avoid=avoid) == ("three", "g-1")
        desk.release(f"a|{number}")
    assert desk.select("b|1", avoid=avoid) == ("three", "g-1")
    assert desk.select("c|1", avoid=avoid) == ("two", "g-1")


def test_the_least_loaded_of_all_compared_is_taken_by_its_share_of_slots(desk: Desk) -> None:
    loaded(desk, "n1", 2, 1)
    loaded(desk, "n2", 10, 4)
    loaded(desk, "n3", 4, 2)
    assert desk.select("j|1", choices=3) == ("n2", "g-1")  # 4 of 10, then 5 of 10
    assert desk.select("k|1", choices=3, avoid=["n1", "n2", "n3"])[0] in ("n1", "n2", "n3")


def test_the_least_loaded_of_the_avoided_nodes_is_the_fallback(desk: Desk) -> None:
    for node, held in (("n1", 3), ("n2", 1), ("n3", 2)):
        loaded(desk, node, 4, held)
    assert desk.select("j|1", avoid=["n1", "n2", "n3"]) == ("n2", "g-1")


def test_as_many_different_nodes_are_compared_as_requested(desk: Desk) -> None:
    """With as many choices as nodes the least loaded is always found."""
    for number in range(8):
        desk.register(f"n{number}", slots=4)
    for number in range(8):
        assert desk.select(f"j{number}|1", choices=8)[0] not in [""]
    held = [entry.split("|")[0] for entry in desk.family("held")]
    assert sorted(held) == [f"n{number}" for number in range(8)]


def test_the_preferred_node_is_taken_when_it_has_room(desk: Desk) -> None:
    for node in ("a", "b", "c", "other"):
        desk.register(node, slots=2, pairs=["en:zh"] if node == "other" else ["zh:en"])
    assert desk.select("j1|1", prefer="b") == ("b", "g-1")
    assert desk.select("j2|1", prefer="b") == ("b", "g-1")
    assert desk.select("j3|1", prefer="b")[0] in ("a", "c")
    assert desk.select("j4|1", prefer="other")[0] in ("a", "c")
    assert desk.select("j5|1", prefer="ghost")[0] in ("a", "c")


def test_a_preferred_node_of_a_pair_with_a_longer_name_is_not_taken(desk: Desk) -> None:
    """Defect C7."""
    desk.register("longer", slots=2, pairs=["zh:en-gb"])
    desk.register("n")
    assert desk.select("j1|1", prefer="longer") == ("n", "g-1")
    assert desk.select("j2|1", pair="zh:e", prefer="longer") == ("", "")


def test_an_avoided_node_gets_the_job_only_when_no_other_has_room(desk: Desk) -> None:
    desk.register("a", slots=2)
    desk.register("b", slots=1)
    assert desk.select("j1|2", avoid=["a"]) == ("b", "g-1")
    assert desk.select("j2|2", avoid=["a"], prefer="a") == ("a", "g-1")
    assert desk.select("j3|2", avoid=["a", "ghost"]) == ("a", "g-1")
    assert desk.select("j4|2", avoid=["a"]) == ("", "")


def test_avoided_nodes_are_avoided_by_their_own_job_only(desk: Desk) -> None:
    loaded(desk, "n1", 4, 0)
    loaded(desk, "n2", 4, 2)
    chosen = desk.select_all(desk.want("j|1", avoid=["n1"]), desk.want("k|1"))
    assert chosen == [("n2", "g-1"), ("n1", "g-1")]
    spare = desk.select_all(*(desk.want(f"m{number}|1", avoid=["n1"]) for number in range(4)))
    assert spare == [("n2", "g-1"), ("n1", "g-1"), ("n1", "g-1"), ("n1", "g-1")]


def test_an_avoided_node_stays_in_the_pool(desk: Desk) -> None:
    desk.register("a")
    desk.register("b")
    desk.select("j1|2", avoid=["a"])
    assert desk.family("capacity") == ["zh:en|a"]


def test_pairs_with_a_common_prefix_are_distinguished(desk: Desk) -> None:
    for number, pair in enumerate(("a:b", "a:bb", "a-b:c", "b:a")):
        desk.register(f"n{number}", pairs=[pair])
    assert desk.select("j1|1", pair="a:bb") == ("n1", "g-1")
    assert desk.select("j2|1", pair="a:b") == ("n0", "g-1")
    assert desk.select("j3|1", pair="a:b") == ("", "")


def test_a_missing_node_does_not_end_the_batch(desk: Desk) -> None:
    """Redis has lost a part of the data.

    The other jobs of the batch are served, the holder is returned without a generation.
    """
    desk.register("gone", slots=2)
    desk.select("j1|1")
    desk.damage("forget_about", "gone")
    desk.register("n")
    assert desk.select_all(desk.want("j1|1"), desk.want("j2|1"), desk.want("j3|1")) == [
        *(("gone", ""), ("n", "g-1")),
        ("", ""),
    ]
    assert desk.release("j1|1", "j2|1") == ["gone", "n"]


def test_a_node_in_a_wrong_pool_is_removed(desk: Desk) -> None:
    """After the loss of its record it registered with other pairs; the old entry is invalid."""
    desk.register("n", pairs=["zh:en"])
    desk.damage("forget_about", "n")
    desk.register("n", "g-2", pairs=["en:zh"])
    assert desk.select("j|1", pair="zh:en") == ("", "")
    assert desk.family("capacity") == ["en:zh|n"]
