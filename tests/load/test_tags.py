"""-T and -E: a user class without a remaining task is left out; an unknown tag is refused in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from voxpool.loadtest.options._tags import left_by_tags
from voxpool.scheduler.errors import ConfigError


def task(*tags: str) -> Any:
    """Return a task with tags, as Locust's decorator leaves them."""
    return SimpleNamespace(locust_tag_set=set(tags)) if tags else SimpleNamespace()


class Caller:
    tasks = (task("slow"), SimpleNamespace(tasks=[task("nested"), task()]))


class Node:
    tasks = (task("slow", "beat"),)


@pytest.mark.parametrize(
    ("tags", "exclude", "left"),
    [
        ([], [], [Caller, Node]),
        (["slow"], [], [Caller, Node]),
        ([], ["nested"], [Caller, Node]),
        (["slow"], ["nested"], [Caller, Node]),
        (["nested"], [], [Caller]),
        ([], ["beat"], [Caller]),
        (["slow"], ["beat"], [Caller]),
        (["beat"], ["slow"], []),
    ],
)
def test_classes_without_a_remaining_task_are_left_out(tags: list[str], exclude: list[str], left: list[Any]) -> None:
    assert left_by_tags([Caller, Node], tags, exclude) == left


@pytest.mark.parametrize("tags", [["foo"], ["slow", "foo"]])
def test_a_tag_that_no_task_has_is_refused_in_a_line(tags: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        left_by_tags([Caller, Node], tags, [])
    assert str(refused.value) == "-T foo: there is no such tag: there are beat, nested, slow"


def test_tags_without_tagged_tasks_are_reported() -> None:
    with pytest.raises(ConfigError, match="no task of this load test has tags"):
        left_by_tags([SimpleNamespace(tasks=[task()])], ["foo"], [])
