"""heartbeat, node_offline, drain_node and lapsed_nodes: how a node stays registered and how it is removed."""

from __future__ import annotations

from tests.lua.desk import LEASE_MS, NOW_MS, Desk
from voxpool.scheduler.core.scripts import Reply


def test_heartbeats_are_answered_one_by_one(desk: Desk) -> None:
    for node in ("a", "b", "c"):
        desk.register(node)
    desk.offline("b")
    assert desk.heartbeat(("a", "g-1"), ("b", "g-1"), ("c", "g-0")) == ["OK", "UNKNOWN", "REPLACED"]


def test_a_heartbeat_never_shortens_the_lease(desk: Desk) -> None:
    """Also when the clock of one scheduler is behind the clock of another."""
    desk.register("n")
    desk.now_ms += 5_000
    desk.heartbeat(("n", "g-1"))
    assert desk.dump()["leases"] == [("n", str(NOW_MS + 5_000 + LEASE_MS))]
    desk.now_ms -= 3_000
    assert desk.heartbeat(("n", "g-1")) == ["OK"]
    assert desk.dump()["leases"] == [("n", str(NOW_MS + 5_000 + LEASE_MS))]


def test_a_heartbeat_after_the_end_of_the_lease_is_refused(desk: Desk) -> None:
    """The node may have been removed from the pools: it must register again."""
    desk.register("n")
    desk.now_ms += LEASE_MS - 1
    assert desk.heartbeat(("n", "g-1")) == ["OK"]
    desk.now_ms += LEASE_MS
    assert desk.heartbeat(("n", "g-1")) == ["UNKNOWN"]


def test_a_lapse_is_decided_once_with_any_clock(desk: Desk) -> None:
    """A clock ahead found it lapsed and removed it; a clock behind must not keep it registered without its pools."""
    desk.register("n")
    desk.now_ms += LEASE_MS
    desk.select("a|1")
    desk.now_ms -= 2_000
    assert desk.dump()["leases"] == [("n", "0")]
    assert desk.heartbeat(("n", "g-1")) == ["UNKNOWN"]
    assert desk.lapsed() == ["n", "g-1"]


def test_offline_leaves_nothing_of_a_node(desk: Desk) -> None:
    desk.register("n", slots=2, pairs=["zh:en", "en:zh"])
    desk.select("b|1")
    desk.select("a|1")
    assert desk.offline("n") == ["OK", "a|1", "b|1"]
    assert desk.dump() == {}
    assert desk.offline("n") == ["UNKNOWN"]


def test_offline_of_an_old_connection_does_not_touch_the_new_one(desk: Desk) -> None:
    desk.register("n", "g-1")
    desk.register("n", "g-2")
    before = desk.dump()
    assert desk.offline("n", "g-1") == ["REPLACED"]
    assert desk.offline("n", "") == ["REPLACED"]  # no generation means what is left of a node without a record
    assert desk.dump() == before


def test_the_sweep_removes_only_lapsed_nodes(desk: Desk) -> None:
    desk.register("n")
    assert desk.offline("n", lapsed=True) == [Reply.ALIVE]
    desk.now_ms += LEASE_MS - 1
    assert desk.offline("n", lapsed=True) == [Reply.ALIVE]
    desk.now_ms += 1
    assert desk.offline("n", lapsed=True) == ["OK"]


def test_lapsed_nodes_are_listed_longest_first_in_slices(desk: Desk) -> None:
    for number, node in enumerate(("c", "a", "b")):
        desk.now_ms = NOW_MS + number * 1_000
        desk.register(node, f"g-{node}")
    desk.now_ms = NOW_MS + LEASE_MS + 1_000
    assert desk.lapsed() == ["c", "g-c", "a", "g-a"]
    assert desk.lapsed(limit=1) == ["c", "g-c"]
    assert desk.lapsed(limit=1) == ["c", "g-c"]


def test_a_lease_without_a_node_is_removed_by_the_sweep(desk: Desk) -> None:
    """Redis has lost a part of the data; the leases lead to what is left."""
    desk.register("n")
    desk.select("a|1")
    desk.damage("forget_about", "n")
    assert desk.heartbeat(("n", "g-1")) == ["UNKNOWN"]
    assert desk.offline("n", "g-1") == ["UNKNOWN"]
    assert desk.offline("n", "", lapsed=True) == ["ALIVE"]
    desk.now_ms += LEASE_MS
    assert desk.lapsed() == ["n", ""]
    assert desk.offline("n", "", lapsed=True) == ["OK", "a|1"]
    assert desk.dump() == {}
    assert desk.offline("n", "") == ["UNKNOWN"]


def test_a_node_without_a_lease_is_found_by_the_first_draw(desk: Desk) -> None:
    desk.register("n")
    desk.damage("forget_lease", "n")
    assert desk.lapsed() == []
    assert desk.select("a|1") == ("", "")
    assert desk.lapsed() == ["n", "g-1"]


def test_a_draining_node_keeps_its_jobs_and_gets_no_more(desk: Desk) -> None:
    desk.register("n", slots=2)
    desk.select("a|1")
    assert desk.drain("n") == ["OK"]
    assert desk.select("b|1") == ("", "")
    assert desk.release("a|1") == ["n"]
    assert desk.select("b|1") == ("", "")
    assert desk.drain("n", on=False) == ["OK"]
    assert desk.select("b|1") == ("n", "g-1")


def test_a_rest_and_a_drain_end_independently(desk: Desk) -> None:
    desk.register("n")
    desk.drain("n", "d")
    desk.drain("n", "r")
    desk.drain("n", "r")
    desk.drain("n", "r", on=False)
    desk.drain("n", "r", on=False)
    assert desk.dump()["nodes"] == [("n", "g-1|p|1|d|,zh:en,")]
    assert desk.select("a|1") == ("", "")
    desk.drain("n", "d", on=False)
    assert desk.select("a|1") == ("n", "g-1")


def test_the_end_of_a_rest_does_not_make_a_full_node_free(desk: Desk) -> None:
    desk.register("n")
    desk.select("a|1")
    desk.drain("n", "r")
    desk.drain("n", "r", on=False)
    assert desk.family("capacity") == []


def test_a_repeated_rest_of_an_old_connection_does_not_touch_the_new_one(desk: Desk) -> None:
    """Its first answer was lost, and the node has registered again before the repeat."""
    desk.register("n")
    assert desk.drain("n", "r") == ["OK"]
    desk.register("n", "g-2")
    assert desk.drain("n", "r") == ["REPLACED"]
    assert desk.select("a|1") == ("n", "g-2")


def test_an_unknown_node_cannot_drain(desk: Desk) -> None:
    assert desk.drain("n") == ["UNKNOWN"]
    assert desk.dump() == {}
