"""-T and -E: what leaves a user class without a task is refused in a line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.running._tags import check_tags
from scheduler.errors import ConfigError


def task(*tags: str) -> Any:
    """Return a task with tags, as Locust's decorator leaves them."""
    return SimpleNamespace(locust_tag_set=set(tags)) if tags else SimpleNamespace()


class Caller:
    tasks = (task("slow"), SimpleNamespace(tasks=[task("nested"), task()]))


class Node:
    tasks = (task("slow", "beat"),)


@pytest.mark.parametrize(("tags", "exclude"), [([], []), (["slow"], []), ([], ["nested"]), (["slow"], ["nested"])])
def test_tags_that_leave_each_class_a_task_are_taken(tags: list[str], exclude: list[str]) -> None:
    check_tags([Caller, Node], tags, exclude)


@pytest.mark.parametrize(
    ("tags", "exclude", "says"),
    [
        (["foo"], [], "-T foo: there is no such tag: there are beat, nested, slow"),
        (["slow", "foo"], [], "-T foo: there is no such tag: there are beat, nested, slow"),
        (["nested"], [], "-T nested: Node would have no task left: leave out the tags or the class"),
        ([], ["beat"], "-E beat: Node would have no task left: leave out the tags or the class"),
        (["slow"], ["beat"], "-T slow -E beat: Node would have no task left: leave out the tags or the class"),
    ],
)
def test_others_are_refused_in_a_line(tags: list[str], exclude: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_tags([Caller, Node], tags, exclude)
    assert str(refused.value) == says


def test_where_no_task_has_tags_the_line_says_so() -> None:
    with pytest.raises(ConfigError, match="no task of this load test has tags"):
        check_tags([SimpleNamespace(tasks=[task()])], ["foo"], [])
