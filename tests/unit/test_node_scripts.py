"""What the scripts about nodes and reservations answer and leave behind, at the edges that whole runs seldom touch."""

from __future__ import annotations

import pytest

from voxpool.scheduler.core.scripts import (
    ScriptCall,
    Want,
    drain_node,
    expire_reservations,
    heartbeat,
    lapsed_nodes,
    node_offline,
    register_node,
    release_job,
    select_node,
)
from voxpool.scheduler.stores.memory import MemoryStore

NOW_MS, LEASE_MS, DUE_MS = 1_000_000, 45_000, 1_060_000
BOTH = ("zh:en", "en:zh")


class Store(MemoryStore):
    """A store that answers one call."""

    def ask(self, call: ScriptCall) -> list[str]:
        return self.run_now([call])[0]

    def register(
        self, node: str = "n1", generation: str = "g1", *, now_ms: int = NOW_MS, process: str = "p1", slots: int = 2,
        flags: str = "", pairs: tuple[str, ...] = BOTH, replaces: str = "", keep: tuple[str, ...] = (),
    ) -> list[str]:  # fmt: skip
        reservations = [(reservation, DUE_MS) for reservation in keep]
        return self.ask(
            register_node(now_ms, LEASE_MS, node, generation, process, slots, flags, pairs, replaces, reservations)
        )

    def take(self, reservation: str, pair: str = "zh:en", now_ms: int = NOW_MS) -> str:
        return self.ask(select_node(now_ms, 7, 2, 1000, [Want(reservation, pair, DUE_MS, "", ())]))[0]

    @property
    def drawn(self) -> list[str]:
        """pair|node that can be drawn."""
        return [member for member, _ in self.dump().get("capacity", [])]

    @property
    def held(self) -> list[str]:
        return [member for member, _ in self.dump().get("held", [])]

    def lease(self, node: str = "n1") -> int:
        return int(float(dict(self.dump()["leases"])[node]))

    @property
    def is_consistent(self) -> bool:
        """Whether the three families of reservations have as many each."""
        census = self.census()
        return census["held"] == census["reservations"] == census["due"]


@pytest.fixture
def store() -> Store:
    store = Store()
    store.register()
    return store


def test_a_registered_node_is_drawn_for_each_of_its_pairs(store: Store) -> None:
    assert store.drawn == ["en:zh|n1", "zh:en|n1"] and store.lease() == NOW_MS + LEASE_MS
    assert dict(store.dump()["nodes"]) == {"n1": "g1|p1|2||,zh:en,en:zh,"}


def test_a_repeat_renews_the_lease_and_does_no_more(store: Store) -> None:
    assert store.take("j|1") == "n1"
    assert store.register(now_ms=NOW_MS + 10, slots=9, pairs=("zh:en",)) == ["OK"]
    assert store.lease() == NOW_MS + 10 + LEASE_MS and store.held == ["n1|j|1"]
    assert store.register(now_ms=NOW_MS + 5) == ["OK"] and store.lease() == NOW_MS + 10 + LEASE_MS
    assert store.drawn == ["en:zh|n1", "zh:en|n1"]


def test_a_repeat_after_the_lease_has_ended_lets_the_node_be_drawn_again_if_it_has_room(store: Store) -> None:
    late_ms = NOW_MS + LEASE_MS
    assert store.take("j|1", now_ms=late_ms) == "" and store.drawn == ["en:zh|n1"]
    store.register(now_ms=late_ms)
    assert store.drawn == ["en:zh|n1", "zh:en|n1"] and store.take("j|1", now_ms=late_ms) == "n1"
    assert [store.take(f"{name}|1", now_ms=late_ms) for name in "kl"] == ["n1", ""]
    store.take("m|1", "en:zh", late_ms)  # removes the full node from its other pair
    store.register(now_ms=late_ms + LEASE_MS)
    assert store.drawn == []


def test_another_process_may_take_a_living_name_only_when_it_names_whom_it_replaces(store: Store) -> None:
    assert store.register(generation="g2", process="p2") == ["TAKEN", "g1"]
    assert store.register(generation="g2", process="p2", replaces="g0") == ["TAKEN", "g1"]
    assert store.register(generation="g2", process="p2", replaces="g1") == ["OK"]
    assert store.register(generation="g3", process="p3", now_ms=NOW_MS + LEASE_MS) == ["OK"]  # the lease has ended
    assert store.register(generation="g4", process="p3") == ["OK"]  # the same process


def test_a_new_generation_leaves_the_pools_that_it_does_not_serve(store: Store) -> None:
    """R14."""
    assert store.register(generation="g2", pairs=("zh:en",)) == ["OK"]
    assert store.drawn == ["zh:en|n1"]


def test_a_new_generation_keeps_what_it_names_and_frees_the_rest(store: Store) -> None:
    store.take("j|1")
    store.take("k|1")
    assert store.register(generation="g2", keep=("k|1", "new|1")) == ["OK", "j|1"]
    assert store.held == ["n1|k|1", "n1|new|1"] and store.is_consistent
    assert dict(store.dump()["due"]) == {"k|1": str(DUE_MS), "new|1": str(DUE_MS)}
    assert store.drawn == []  # two of two slots
    assert store.register(node="n2", generation="h1", keep=("k|1",)) == ["OK"]  # held by n1: it stays there
    assert store.held == ["n1|k|1", "n1|new|1"]


def test_a_process_that_was_draining_goes_on_draining_and_a_rest_ends(store: Store) -> None:
    store.ask(drain_node("n1", "g1", "d", True))
    store.ask(drain_node("n1", "g1", "r", True))
    store.register(generation="g2")
    assert dict(store.dump()["nodes"])["n1"].split("|")[3] == "d" and store.drawn == []
    store.register(generation="g3", flags="d")
    assert dict(store.dump()["nodes"])["n1"].split("|")[3] == "d"
    store.register(generation="g4", process="p2", replaces="g3")
    assert dict(store.dump()["nodes"])["n1"].split("|")[3] == "" and len(store.drawn) == 2


def test_a_flag_keeps_a_node_from_being_drawn_until_the_last_one_is_gone(store: Store) -> None:
    for flag, on, drawn in (("d", True, 0), ("d", True, 0), ("r", True, 0), ("d", False, 0), ("d", False, 0)):
        assert store.ask(drain_node("n1", "g1", flag, on)) == ["OK"] and len(store.drawn) == drawn
    assert dict(store.dump()["nodes"])["n1"] == "g1|p1|2|r|,zh:en,en:zh,"
    assert store.ask(drain_node("n1", "g1", "r", False)) == ["OK"] and len(store.drawn) == 2
    assert store.ask(drain_node("n1", "g0", "d", True)) == ["REPLACED"]
    assert store.ask(drain_node("n2", "g1", "d", True)) == ["UNKNOWN"] and len(store.drawn) == 2


def test_a_full_node_is_not_drawn_when_its_flag_goes(store: Store) -> None:
    store.ask(drain_node("n1", "g1", "d", True))
    store.register(generation="g1b", keep=("j|1", "k|1"))
    assert store.ask(drain_node("n1", "g1b", "d", False)) == ["OK"] and store.drawn == []


def test_a_beat_renews_a_lease_that_has_not_ended_and_never_shortens_it(store: Store) -> None:
    store.register("n2", "h1")
    beats = [("n1", "g1"), ("n2", "h0"), ("n3", "x")]
    assert store.ask(heartbeat(NOW_MS + LEASE_MS - 1, LEASE_MS, beats)) == ["OK", "REPLACED", "UNKNOWN"]
    assert store.lease() == NOW_MS + 2 * LEASE_MS - 1 and store.lease("n2") == NOW_MS + LEASE_MS
    assert store.ask(heartbeat(NOW_MS, 10, [("n1", "g1")])) == ["OK"]
    assert store.lease() == NOW_MS + 2 * LEASE_MS - 1
    assert store.ask(heartbeat(NOW_MS + LEASE_MS, LEASE_MS, [("n2", "h1")])) == ["UNKNOWN"]


def test_a_node_that_goes_leaves_nothing_and_names_what_it_held(store: Store) -> None:
    store.take("j|1")
    store.take("k|1")
    assert store.ask(node_offline("n1", "g0")) == ["REPLACED"] and store.ask(node_offline("n2", "g")) == ["UNKNOWN"]
    assert store.ask(node_offline("n1", "g1", NOW_MS + LEASE_MS - 1)) == ["ALIVE"] and len(store.held) == 2
    assert store.ask(node_offline("n1", "g1", NOW_MS + LEASE_MS)) == ["OK", "j|1", "k|1"]
    assert store.census() == dict.fromkeys(store.census(), 0)
    assert store.ask(node_offline("n1", "g1")) == ["UNKNOWN"]


def test_no_generation_means_what_is_left_of_a_node_without_a_record(store: Store) -> None:
    assert store.ask(node_offline("n9", "")) == ["UNKNOWN"]
    assert store.ask(node_offline("n1", "")) == ["REPLACED"] and store.census()["nodes"] == 1


def test_a_release_frees_one_slot_and_a_repeat_frees_none(store: Store) -> None:
    assert [store.take(f"{name}|1") for name in "jkl"] == ["n1", "n1", ""]
    assert store.drawn == ["en:zh|n1"]
    assert store.ask(release_job(["j|1", "x|1", "j|1"])) == ["n1", "", ""]
    assert store.held == ["n1|k|1"] and store.is_consistent and len(store.drawn) == 2


def test_a_release_opens_neither_a_draining_node_nor_one_above_its_slots(store: Store) -> None:
    store.register(generation="g2", slots=1, keep=("j|1", "k|1", "l|1"))
    assert store.ask(release_job(["j|1"])) == ["n1"] and store.drawn == []  # two of one
    assert store.ask(release_job(["k|1"])) == ["n1"] and store.drawn == []  # one of one
    store.ask(drain_node("n1", "g2", "d", True))
    assert store.ask(release_job(["l|1"])) == ["n1"] and store.drawn == []
    assert store.held == [] and store.is_consistent


def test_reservations_expire_at_their_due_time_the_earliest_first_and_no_more_than_asked_for(store: Store) -> None:
    for reservation, due_ms in (("j|1", DUE_MS), ("k|1", DUE_MS - 5)):
        store.ask(select_node(NOW_MS, 7, 2, 1000, [Want(reservation, "zh:en", due_ms, "", ())]))
    assert store.ask(expire_reservations(DUE_MS - 6, 10)) == []
    assert store.ask(expire_reservations(DUE_MS, 1)) == ["k|1", "n1"] and len(store.drawn) == 2
    assert store.ask(expire_reservations(DUE_MS, 10)) == ["j|1", "n1"] and store.held == [] and store.is_consistent


def test_nodes_whose_lease_has_ended_are_listed_the_longest_dead_first(store: Store) -> None:
    store.register("n2", "h1", now_ms=NOW_MS - 5)
    store.register("n3", "i1", now_ms=NOW_MS + 5)
    end_ms = NOW_MS + LEASE_MS
    assert store.ask(lapsed_nodes(end_ms - 6, 10)) == []
    assert store.ask(lapsed_nodes(end_ms, 10)) == ["n2", "h1", "n1", "g1"]
    assert store.ask(lapsed_nodes(end_ms, 1)) == ["n2", "h1"]


def test_nodes_whose_names_begin_alike_are_apart(store: Store) -> None:
    store.register("n1-b", "h1", keep=("x|1",))
    store.register("n", "i1", keep=("y|1",))
    store.register(generation="g2", keep=("j|1",))
    assert store.ask(node_offline("n1", "g2")) == ["OK", "j|1"]
    assert store.held == ["n1-b|x|1", "n|y|1"] and store.is_consistent


def test_a_node_that_serves_nothing_is_known_and_never_drawn(store: Store) -> None:
    assert store.register("n2", "h1", pairs=()) == ["OK"] and store.register("n2", "h2", pairs=()) == ["OK"]
    assert store.ask(drain_node("n2", "h2", "d", True)) == ["OK"]
    assert store.ask(node_offline("n2", "h2")) == ["OK"] and len(store.drawn) == 2
