"""select_explained: the choice of select_node, and the nodes that were considered."""

from __future__ import annotations

from tests.lua.desk import LEASE_MS, Desk
from voxpool.scheduler.core.scripts import Look, looks_of, select_explained, select_node


def explained(desk: Desk, *wants: str, prefer: str = "", avoid: tuple[str, ...] = ()) -> tuple[list[str], list[Look]]:
    """Select for `wants`; return the answers, and the considered nodes of the last one."""
    call = select_node(
        desk.now_ms, 77, 2, 1000, [desk.want(reservation, prefer=prefer, avoid=avoid) for reservation in wants]
    )
    answer = desk.call(select_explained(call))
    return answer[: 2 * len(wants)], looks_of(answer, len(wants))[-1][1]


def test_the_less_loaded_of_two_is_taken_and_both_are_listed(desk: Desk) -> None:
    desk.register("a", slots=4)
    desk.select("x|1")
    desk.register("b", slots=2)
    answer, looks = explained(desk, "j|1")
    assert answer == ["b", "g-1"]
    assert sorted(looks) == [Look("a", "free", 1, 4), Look("b", "free", 0, 2)]


def test_each_reason_against_a_node_is_listed(desk: Desk) -> None:
    """Some of these nodes are in the pool until they are drawn; a preferred node is always considered."""
    desk.register("lapsed")
    desk.now_ms += LEASE_MS
    for node in ("draining", "resting", "full", "gone"):
        desk.register(node, pairs=["zh:en", "en:zh"])
    desk.register("foreign", pairs=["en:zh"])
    desk.select("x|1", pair="en:zh", prefer="full")
    for flag in "dr":
        desk.drain("draining", flag)
    desk.drain("resting", "r")
    desk.damage("forget_about", "gone")
    words: dict[str, str] = {}
    for number, node in enumerate(("foreign", "draining", "resting", "lapsed")):
        answer, looks = explained(desk, f"j|{number}", prefer=node)
        assert answer == ["", ""]
        words |= {look.node_id: look.word for look in looks}
    assert words == {
        **{word: word for word in ("lapsed", "draining", "resting", "full", "gone")},
        "foreign": "other_pairs",
    }


def test_an_avoided_node_is_marked_and_taken_when_no_other_has_room(desk: Desk) -> None:
    desk.register("a")
    assert explained(desk, "j|1", avoid=("a",)) == (["a", "g-1"], [Look("a", "avoided", 0, 1)])


def test_the_preferred_node_is_taken_without_further_draws(desk: Desk) -> None:
    desk.register("a", slots=9)
    desk.register("b", slots=9)
    desk.select("x|1", prefer="b")
    assert explained(desk, "j|1", prefer="b") == (["b", "g-1"], [Look("b", "preferred", 1, 9)])


def test_nodes_that_were_not_considered_are_not_listed(desk: Desk) -> None:
    """A repeated call finds its first answer, and a pair without nodes isn't drawn from twice."""
    desk.register("a")
    explained(desk, "j|1")
    assert explained(desk, "j|1") == (["a", "g-1"], [])
    assert explained(desk, "j|2", "j|3") == (["", "", "", ""], [])


def test_no_more_than_sixteen_nodes_are_listed_and_all_are_counted(desk: Desk) -> None:
    for number in range(30):
        desk.register(f"n-{number}", pairs=["zh:en", "en:zh"])
        desk.select(f"x-{number}|1", pair="en:zh", prefer=f"n-{number}")
    answer = desk.call(select_explained(select_node(desk.now_ms, 77, 2, 1000, [desk.want("j|1")])))
    ((total, looks),) = looks_of(answer, 1)
    assert (answer[:2], total, len(looks)) == (["", ""], 30, 16)
    assert {look.word for look in looks} == {"full"}
