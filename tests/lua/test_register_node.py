"""register_node: a node registers, returns, is taken over; its reservations are settled."""

from __future__ import annotations

from tests.lua.desk import LEASE_MS, NOW_MS, RESERVATION_MS, Desk


def test_a_node_enters_the_pools_of_its_pairs_and_gets_a_lease(desk: Desk) -> None:
    assert desk.register("n", slots=2, pairs=["zh:en", "en:zh"]) == ["OK"]
    assert desk.dump() == {
        "leases": [("n", str(NOW_MS + LEASE_MS))],
        "nodes": [("n", "g-1|p|2||,zh:en,en:zh,")],
        "capacity": [("en:zh|n", "0"), ("zh:en|n", "0")],
    }


def test_a_node_that_serves_other_pairs_now_leaves_the_old_pools(desk: Desk) -> None:
    desk.register("n", pairs=["zh:en", "en:zh"])
    desk.register("n", "g-2", pairs=["en:zh", "de:en"])
    assert desk.family("capacity") == ["de:en|n", "en:zh|n"]


def test_reservations_that_it_does_not_name_are_freed_and_returned(desk: Desk) -> None:
    desk.register("n", slots=3)
    for reservation in ("a|1", "b|1", "c|1"):
        desk.select(reservation)
    assert desk.register("n", "g-2", slots=3, keep=["b|1"]) == ["OK", "a|1", "c|1"]
    assert desk.family("reservations") == desk.family("due") == ["b|1"]


def test_a_reservation_that_it_names_and_nobody_has_is_stored(desk: Desk) -> None:
    """As after a flush of Redis: the node still runs the job."""
    assert desk.register("n", slots=1, keep=["a|1"]) == ["OK"]
    assert desk.family("held") == ["n|a|1"]
    assert desk.dump()["due"] == [("a|1", str(NOW_MS + RESERVATION_MS))]
    assert desk.family("capacity") == []
    assert desk.release("a|1") == ["n"]
    assert desk.family("capacity") == ["zh:en|n"]


def test_a_reservation_of_another_node_is_not_moved(desk: Desk) -> None:
    desk.register("n")
    desk.select("a|1")
    desk.register("m", keep=["a|1"])
    assert desk.family("held") == ["n|a|1"]


def test_a_repeat_renews_the_lease_and_changes_nothing_else(desk: Desk) -> None:
    """Its first answer was lost, and the node has got a job since. A clock behind does not shorten the lease."""
    desk.register("n", slots=2)
    desk.select("a|1")
    before = desk.dump()
    desk.now_ms += 1_000
    assert desk.register("n", slots=9, pairs=["en:zh"]) == ["OK"]
    desk.now_ms -= 500
    assert desk.register("n", slots=2) == ["OK"]
    assert desk.dump() == {**before, "leases": [("n", str(NOW_MS + 1_000 + LEASE_MS))]}


def test_a_repeat_after_the_lease_adds_it_to_the_pools_if_it_has_room(desk: Desk) -> None:
    desk.register("n", pairs=["zh:en", "en:zh"])
    desk.now_ms += LEASE_MS
    assert desk.select("a|1") == ("", "")
    assert desk.family("capacity") == ["en:zh|n"]
    assert desk.register("n") == ["OK"]
    assert desk.family("capacity") == ["en:zh|n", "zh:en|n"]
    assert desk.select("a|1") == ("n", "g-1")
    assert desk.select("b|1", pair="en:zh") == ("", "")  # removes the full node from its other pair
    desk.now_ms += LEASE_MS
    assert desk.register("n") == ["OK"]
    assert desk.family("capacity") == []


def test_another_process_cannot_take_a_name_in_use(desk: Desk) -> None:
    """The caller may ping the old connection and name the generation that it replaces."""
    desk.register("n", "g-1", process="p")
    assert desk.register("n", "g-2", process="q") == ["TAKEN", "g-1"]
    assert desk.register("n", "g-2", process="q", replaces="g-0") == ["TAKEN", "g-1"]
    assert desk.register("n", "g-2", process="q", replaces="g-1") == ["OK"]


def test_another_process_takes_a_name_whose_lease_has_ended(desk: Desk) -> None:
    desk.register("n", "g-1", process="p")
    desk.now_ms += LEASE_MS
    assert desk.register("n", "g-2", process="q") == ["OK"]


def test_the_same_process_takes_over_its_own_older_connection(desk: Desk) -> None:
    desk.register("n", "g-1", process="p")
    assert desk.register("n", "g-2", process="p") == ["OK"]


def test_draining_survives_a_new_connection_of_its_process(desk: Desk) -> None:
    """A rest does not: the new connection names it if it continues."""
    desk.register("n")
    desk.drain("n", "d")
    desk.drain("n", "r")
    desk.register("n", "g-2")
    assert dict(desk.dump()["nodes"])["n"].split("|")[3] == "d"
    desk.register("n", "g-3", flags="d")
    assert dict(desk.dump()["nodes"])["n"].split("|")[3] == "d"
    desk.register("n", "g-4", process="q", replaces="g-3")
    assert desk.family("capacity") == ["zh:en|n"]


def test_a_node_that_registers_with_a_flag_is_not_drawn(desk: Desk) -> None:
    desk.register("n", flags="r")
    assert desk.select("a|1") == ("", "")
    desk.drain("n", "r", on=False)
    assert desk.select("a|1") == ("n", "g-1")


def test_lowering_the_slots_evicts_nothing(desk: Desk) -> None:
    """No reservation is allocated until their number is below the slots again."""
    desk.register("n", slots=3)
    for reservation in ("a|1", "b|1", "c|1"):
        desk.select(reservation)
    desk.register("n", "g-2", slots=1, keep=["a|1", "b|1", "c|1"])
    assert desk.family("reservations") == ["a|1", "b|1", "c|1"]
    assert desk.release("a|1", "b|1") == ["n", "n"]
    assert desk.select("d|1") == ("", "")
    desk.release("c|1")
    assert desk.select("d|1") == ("n", "g-2")


def test_names_with_a_common_prefix_are_distinguished(desk: Desk) -> None:
    for node in ("n", "n-1", "n.1", "n1"):
        desk.register(node, slots=2)
        desk.select(f"{node}.job|1", prefer=node)
    assert desk.register("n", "g-2") == ["OK", "n.job|1"]
    assert desk.family("held") == ["n-1|n-1.job|1", "n.1|n.1.job|1", "n1|n1.job|1"]


def test_a_node_without_pairs_is_stored_and_never_drawn(desk: Desk) -> None:
    assert desk.register("n", pairs=[]) == ["OK"]
    assert desk.register("n", "g-2", pairs=[]) == ["OK"]
    assert desk.drain("n", generation="g-2") == ["OK"]
    assert desk.family("capacity") == []
    assert desk.offline("n", "g-2") == ["OK"]
