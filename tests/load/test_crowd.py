"""Counts and weights of the user classes: clients share -u, nodes and those that misbehave come on top."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.users._crowd import WEIGHTS, arrange, selected
from voxpool.scheduler.errors import ConfigError


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


TAGS = {"http": "submit", "session": "submit", "node": "heartbeat", "misbehaving_client": "misbehave"}


def environment(*names: str, tags: list[str] | None = None, exclude_tags: list[str] | None = None) -> Any:
    """As Locust has it: classes named after their parts, a tagged task each; `names` were asked for."""
    available = {}
    for one in classes(*TAGS):
        one.tasks = [SimpleNamespace(locust_tag_set={TAGS[one.part]})]
        available[one.part] = one
    parsed = Namespace(user_classes=list(names), tags=tags, exclude_tags=exclude_tags, nodes=-1, misbehaving=6)
    return SimpleNamespace(parsed_options=parsed, available_user_classes=available)


def parts(of: Any) -> list[str]:
    return [one.part for one in selected(of)]


def test_without_a_selection_all_classes_take_part_as_their_options_say() -> None:
    here = environment()
    assert parts(here) == list(TAGS)
    assert (here.parsed_options.nodes, here.parsed_options.misbehaving) == (-1, 6)


def test_a_class_that_is_not_selected_has_no_users_whatever_its_option_says() -> None:
    """Without NodeUser the results are those of the scheduler's own nodes, as with --nodes 0."""
    here = environment("session")
    assert parts(here) == ["session"]
    assert (here.parsed_options.nodes, here.parsed_options.misbehaving) == (0, 0)
    here = environment("node", "http")
    assert parts(here) == ["http", "node"]
    assert (here.parsed_options.nodes, here.parsed_options.misbehaving) == (-1, 0)


def test_tags_leave_out_the_classes_that_have_no_task_left() -> None:
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
def test_a_selection_in_which_nobody_asks_for_jobs_is_refused(given: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        selected(given)
