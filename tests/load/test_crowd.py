"""Counts and weights of the user classes: clients share -u, nodes and those that misbehave come on top."""

from __future__ import annotations

from typing import Any, ClassVar

from loadtest.running._options import LoadOptions
from loadtest.users._crowd import WEIGHTS, arrange


def classes(*parts: str) -> list[Any]:
    """User classes of those kinds, as Locust has them: a weight of 1 each."""

    def one(kind: str) -> Any:
        class User:
            part: ClassVar[str] = kind
            weight = 1
            fixed_count = 0

        return User

    return [one(part) for part in parts]


ALL = ("http", "session", "node", "misbehaving_client", "misbehaving_node")


def test_nodes_and_misbehaving_users_come_on_top_and_clients_by_share() -> None:
    crowd = arrange(classes(*ALL), LoadOptions(http_share=0.3, misbehaving=5), nodes=20)
    counts = {one.part: (one.fixed_count, one.weight) for one in crowd.classes}
    assert counts["node"] == (20, 1) and crowd.standing == 25
    assert (counts["misbehaving_client"][0], counts["misbehaving_node"][0]) == (3, 2)
    assert counts["http"] == (0, 0.3 * WEIGHTS) and counts["session"] == (0, 0.7 * WEIGHTS)


def test_what_there_is_none_of_is_left_out() -> None:
    """A class with a count of 0 would be taken by Locust for one by weight."""
    crowd = arrange(classes(*ALL), LoadOptions(http_share=0.0), nodes=0)
    assert [one.part for one in crowd.classes] == ["session"] and crowd.standing == 0


def test_the_only_kind_of_client_asked_for_gets_all() -> None:
    """`locust … HttpClientUser NodeUser` is a choice that goes before --http-share."""
    crowd = arrange(classes("http", "node"), LoadOptions(http_share=0.0), nodes=1)
    assert [(one.part, one.weight) for one in crowd.classes] == [("http", WEIGHTS), ("node", 1)]


def test_classes_of_somebody_else_stay_as_they_are() -> None:
    """A locustfile of one's own may stand beside ours."""
    crowd = arrange(classes("", "session"), LoadOptions(), nodes=3)
    assert next((one.weight, one.fixed_count) for one in crowd.classes) == (1, 0) and crowd.standing == 0


def test_counts_of_the_test_before_don_t_stay() -> None:
    """On a page one test follows the other with the same classes."""
    users = classes(*ALL)
    arrange(users, LoadOptions(misbehaving=4), nodes=20)
    crowd = arrange(users, LoadOptions(), nodes=5)
    assert crowd.standing == 5 and [one.part for one in crowd.classes] == ["http", "session", "node"]
