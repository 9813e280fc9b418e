"""Counts and weights of the user classes: clients share -u; nodes and misbehaving users are added."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.users._crowd import WEIGHTS, arrange, selected
from voxpool.scheduler.errors import ConfigError


def classes(*parts: str) -> list[Any]:
    """Return user classes of those kinds, as Locust has them: with a weight of 1 each."""

    def one(kind: str) -> Any:
        class User:
            part: ClassVar[str] = kind
            weight = 1
            fixed_count = 0

        return User

    return [one(part) for part in parts]


ALL = ("http", "session", "node", "misbehaving_client", "misbehaving_node")


def test_nodes_and_misbehaving_users_are_added_and_clients_share() -> None:
    crowd = arrange(classes(*ALL), LoadOptions(http_share=0.3, misbehaving=5), nodes=20)
    counts = {one.part: (one.fixed_count, one.weight) for one in crowd.classes}
    assert counts["node"] == (20, 1) and crowd.standing == 25
    assert (counts["misbehaving_client"][0], counts["misbehaving_node"][0]) == (3, 2)
    assert counts["http"] == (0, 0.3 * WEIGHTS) and counts["session"] == (0, 0.7 * WEIGHTS)


def test_classes_with_a_count_of_zero_are_left_out() -> None:
    """Locust would treat a class with a count of 0 as a class with a weight."""
    crowd = arrange(classes(*ALL), LoadOptions(http_share=0.0), nodes=0)
    assert [one.part for one in crowd.classes] == ["session"] and crowd.standing == 0


def test_the_only_selected_kind_of_client_gets_all_users() -> None:
    """The selection in `locust … HttpClientUser NodeUser` overrides --http-share."""
    crowd = arrange(classes("http", "node"), LoadOptions(http_share=0.0), nodes=1)
    assert [(one.part, one.weight) for one in crowd.classes] == [("http", WEIGHTS), ("node", 1)]


def test_foreign_classes_are_not_changed() -> None:
    """A user's own locustfile may be loaded beside ours."""
    crowd = arrange(classes("", "session"), LoadOptions(), nodes=3)
    assert next((one.weight, one.fixed_count) for one in crowd.classes) == (1, 0) and crowd.standing == 0


def test_counts_of_the_previous_test_are_reset() -> None:
    """On the web page tests run one after the other with the same classes."""
    users = classes(*ALL)
    arrange(users, LoadOptions(misbehaving=4), nodes=20)
    crowd = arrange(users, LoadOptions(), nodes=5)
    assert crowd.standing == 5 and [one.part for one in crowd.classes] == ["http", "session", "node"]


TAGS = {"http": "submit", "session": "submit", "node": "heartbeat", "misbehaving_client": "misbehave"}


def environment(*names: str, tags: list[str] | None = None, exclude_tags: list[str] | None = None) -> Any:
    """An environment as of Locust: classes named after their parts, one tagged task each; `names` were selected."""
    available = {}
    for one in classes(*TAGS):
        one.tasks = [SimpleNamespace(locust_tag_set={TAGS[one.part]})]
        available[one.part] = one
    parsed = Namespace(user_classes=list(names), tags=tags, exclude_tags=exclude_tags, nodes=-1, misbehaving=6)
    return SimpleNamespace(parsed_options=parsed, available_user_classes=available)


def parts(of: Any) -> list[str]:
    return [one.part for one in selected(of)]


def test_without_a_selection_the_options_of_all_classes_count() -> None:
    here = environment()
    assert parts(here) == list(TAGS)
    assert (here.parsed_options.nodes, here.parsed_options.misbehaving) == (-1, 6)


def test_an_unselected_class_has_no_users_despite_its_option() -> None:
    """Without NodeUser the scheduler's own nodes do the work, as with --nodes 0."""
    here = environment("session")
    assert parts(here) == ["session"]
    assert (here.parsed_options.nodes, here.parsed_options.misbehaving) == (0, 0)
    here = environment("node", "http")
    assert parts(here) == ["http", "node"]
    assert (here.parsed_options.nodes, here.parsed_options.misbehaving) == (-1, 0)


def test_tags_leave_out_classes_without_a_task() -> None:
    here = environment(tags=["submit"])
    assert parts(here) == ["http", "session"] and here.parsed_options.nodes == 0
    here = environment(exclude_tags=["misbehave"])
    assert parts(here) == ["http", "session", "node"] and here.parsed_options.misbehaving == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (environment("node"), "none of the selected classes submits jobs: add SessionUser or HttpClientUser"),
        (environment("node", "misbehaving_client"), "none of the selected classes submits jobs: add SessionUser"),
        (environment(exclude_tags=["submit"]), "no class that submits jobs has a task left after -T and -E"),
    ],
    ids=["nodes alone", "nodes and misbehaving ones", "a tag that clients have"],
)
def test_a_selection_without_clients_is_refused(given: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        selected(given)
