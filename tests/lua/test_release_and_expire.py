"""release_job and expire_reservations: how a slot becomes free."""

from __future__ import annotations

from tests.lua.desk import RESERVATION_MS, Desk


def test_a_release_names_the_node_once(desk: Desk) -> None:
    desk.register("n")
    desk.select("a|1")
    assert desk.release("a|1", "a|1", "never|1") == ["n", "", ""]
    assert desk.release("a|1") == [""]


def test_an_old_attempt_does_not_free_the_new_one(desk: Desk) -> None:
    desk.register("n", slots=1)
    desk.select("a|1")
    desk.release("a|1")
    desk.select("a|2")
    assert desk.release("a|1") == [""]
    assert desk.family("reservations") == ["a|2"]


def test_a_node_with_room_again_can_be_drawn_for_all_its_pairs(desk: Desk) -> None:
    desk.register("n", pairs=["zh:en", "en:zh"])
    desk.select("a|1")
    assert desk.select("b|1", pair="en:zh") == ("", "")
    desk.release("a|1")
    assert desk.family("capacity") == ["en:zh|n", "zh:en|n"]


def test_many_are_freed_in_one_call(desk: Desk) -> None:
    desk.register("n", slots=1000)
    reservations = [f"job-{number:03}|1" for number in range(500)]
    for start in range(0, 500, 100):
        desk.select_all(*(desk.want(reservation) for reservation in reservations[start : start + 100]))
    assert desk.release(*reservations) == ["n"] * 500
    assert sorted(desk.dump()) == ["capacity", "leases", "nodes"]


def test_a_reservation_ends_at_its_due_time(desk: Desk) -> None:
    desk.register("n", slots=3)
    desk.select("a|1")
    desk.now_ms += 1_000
    desk.select("b|1")
    desk.now_ms += RESERVATION_MS - 1_001
    assert desk.expire() == []
    desk.now_ms += 1
    assert desk.expire() == ["a|1", "n"]
    assert desk.family("reservations") == ["b|1"]


def test_reservations_expire_the_earliest_first_in_slices(desk: Desk) -> None:
    desk.register("n", slots=5)
    for reservation in ("c|1", "a|1", "b|1"):
        desk.select(reservation)
        desk.now_ms += 1
    desk.now_ms += RESERVATION_MS
    assert desk.expire(limit=2) == ["c|1", "n", "a|1", "n"]
    assert desk.expire(limit=2) == ["b|1", "n"]
    assert desk.expire(limit=2) == []


def test_an_expired_reservation_frees_its_slot(desk: Desk) -> None:
    desk.register("n")
    desk.select("a|1")
    desk.now_ms += RESERVATION_MS
    desk.heartbeat(("n", "g-1"))
    desk.register("n", "g-2", keep=["a|1"])
    assert desk.expire() == ["a|1", "n"]
    assert desk.select("b|1") == ("n", "g-2")
