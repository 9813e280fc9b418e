"""Which node a job gets, asked of the scripts on the memory store: the edges that whole runs seldom touch."""

from __future__ import annotations

from tests.unit.rig import Rig
from voxpool.scheduler.core.jobs.job import WAITING
from voxpool.scheduler.core.scripts import Want, register_node, select_node
from voxpool.scheduler.stores.memory import MemoryStore

NOW_MS, LEASE_MS = 1_000_000, 45_000


def store_of(*nodes: tuple[str, str], lease_ms: int = LEASE_MS, slots: int = 1) -> MemoryStore:
    """Return a store with these (node, pair)."""
    store = MemoryStore()
    for node, pair in nodes:
        store.run_now([register_node(NOW_MS, lease_ms, node, f"g-{node}", "p1", slots, "", [pair], "", [])])
    return store


def select(
    store: MemoryStore, *wants: Want, now_ms: int = NOW_MS, choices: int = 2, removals_max: int = 1000
) -> list[str]:
    return store.run_now([select_node(now_ms, 7, choices, removals_max, wants)])[0]


def want(reservation: str, pair: str = "zh:en", prefer: str = "", avoid: tuple[str, ...] = ()) -> Want:
    return Want(reservation, pair, NOW_MS + 60_000, prefer, avoid)


async def test_a_session_moves_when_its_node_does_not_serve_the_pair() -> None:
    """C7: the preferred node is asked whether it serves the pair, and a longer name is another pair."""
    rig = Rig()
    for name, pair in (("n1", "zh:en-gb"), ("n2", "zh:en"), ("n3", "en:zh")):
        await rig.node(name, pairs=[pair], slots=2)
    nodes = [
        (await rig.submit(pair, session_id="s1", affinity=True)).node_id for pair in ("zh:en-gb", "zh:en", "en:zh")
    ]
    assert nodes == ["n1", "n2", "n3"]
    assert (await rig.submit("en:z", session_id="s1", affinity=True)).state == WAITING


def test_a_call_removes_at_most_what_it_may_and_says_so() -> None:
    store = store_of(*((f"n{number}", "zh:en") for number in range(10)))
    later_ms = NOW_MS + LEASE_MS
    assert select(store, want("j|1"), now_ms=later_ms, removals_max=3) == ["", "AGAIN"]
    assert store.census()["capacity"] == 7
    assert select(store, want("j|1"), want("k|1"), now_ms=later_ms, removals_max=3) == ["", "AGAIN", "", "AGAIN"]
    assert store.census()["capacity"] == 4
    assert select(store, want("j|1"), now_ms=later_ms, removals_max=4) == ["", ""]  # that was the last one
    assert store.census()["capacity"] == 0


def test_a_lease_ends_at_its_end() -> None:
    store = store_of(("n1", "zh:en"), slots=2)
    assert select(store, want("j|1"), now_ms=NOW_MS + LEASE_MS - 1) == ["n1", "g-n1"]
    assert select(store, want("k|1"), now_ms=NOW_MS + LEASE_MS) == ["", ""]


def test_an_avoided_node_is_taken_only_when_nobody_else_has_room() -> None:
    store = store_of(("n1", "zh:en"), ("n2", "zh:en"), ("n3", "zh:en"))
    avoid = ("n1", "n2")
    assert select(store, want("j|1", avoid=avoid, prefer="n1")) == ["n3", "g-n3"]
    spare = select(store, want("k|1", avoid=avoid), want("l|1", avoid=avoid), want("m|1", avoid=avoid))
    assert sorted(spare[:4:2]) == ["n1", "n2"] and spare[4:] == ["", ""]


def test_the_least_loaded_of_all_compared_is_taken_by_its_share_of_slots() -> None:
    store = MemoryStore()
    for node, slots, held in (("n1", 2, 1), ("n2", 10, 4), ("n3", 4, 2)):
        reservations = [(f"{node}-{number}|1", NOW_MS + 60_000) for number in range(held)]
        store.run_now([register_node(NOW_MS, LEASE_MS, node, "g", "p1", slots, "", ["zh:en"], "", reservations)])
    assert select(store, want("j|1"), choices=3) == ["n2", "g"]  # 4 of 10, then 5 of 10
    avoid = ("n1", "n2", "n3")
    assert select(store, want("k|1", avoid=avoid), choices=3)[0] in avoid


def test_the_smaller_share_is_taken_in_whatever_order_the_nodes_are_drawn() -> None:
    """1 of 4 slots is less than 1 of 2, also where the larger share is drawn last; so it is for avoided nodes."""
    for seed in range(1, 2_000_000_000, 100_000_007):
        store = MemoryStore()
        for node, slots in (("n1", 4), ("n2", 2)):
            held = [(f"{node}-x|1", NOW_MS + 60_000)]
            store.run_now([register_node(NOW_MS, LEASE_MS, node, "g", "p1", slots, "", ["zh:en"], "", held)])
        avoid = ("n1", "n2") if seed % 2 else ()
        assert store.run_now([select_node(NOW_MS, seed, 2, 1000, [want("j|1", avoid=avoid)])]) == [["n1", "g"]]


def test_the_least_loaded_of_avoided_nodes_is_the_spare_one() -> None:
    store = MemoryStore()
    for node, held in (("n1", 3), ("n2", 1), ("n3", 2)):
        reservations = [(f"{node}-{number}|1", NOW_MS + 60_000) for number in range(held)]
        store.run_now([register_node(NOW_MS, LEASE_MS, node, "g", "p1", 4, "", ["zh:en"], "", reservations)])
    assert select(store, want("j|1", avoid=("n1", "n2", "n3"))) == ["n2", "g"]


def test_jobs_of_one_call_fill_the_slots_and_no_more() -> None:
    store = store_of(("n1", "zh:en"), ("n2", "en:zh"), slots=2)
    answer = select(store, *(want(f"j{number}|1") for number in range(3)), want("k|1", pair="en:zh"))
    assert answer == ["n1", "g-n1", "n1", "g-n1", "", "", "n2", "g-n2"]
    assert select(store, want("j0|1"), want("j2|1")) == ["n1", "g-n1", "", ""]  # the first is asked again
    assert store.census()["capacity"] == 1 and store.census()["held"] == 3


def test_pairs_whose_names_begin_alike_are_apart() -> None:
    store = store_of(("n1", "zh:en"), ("n2", "zh:en-gb"), ("n3", "zh:e"))
    assert select(store, want("a|1", "zh:en-gb"), want("b|1", "zh:en"), want("c|1", "zh:e"))[::2] == ["n2", "n1", "n3"]
    assert select(store, want("d|1", "zh:en")) == ["", ""]


def test_what_one_job_avoids_the_next_one_of_the_call_does_not() -> None:
    store = MemoryStore()
    for node, held in (("n1", 0), ("n2", 2)):
        reservations = [(f"{node}-{number}|1", NOW_MS + 60_000) for number in range(held)]
        store.run_now([register_node(NOW_MS, LEASE_MS, node, "g", "p1", 4, "", ["zh:en"], "", reservations)])
    assert select(store, want("j|1", avoid=("n1",)), want("k|1")) == ["n2", "g", "n1", "g"]
    assert select(store, want("l|1")) == ["n1", "g"]
