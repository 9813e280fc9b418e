"""Applies Locust's -T and -E before a load, because a user without a task would end with a traceback."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from voxpool.scheduler.errors import ConfigError


def left_by_tags(classes: Iterable[Any], tags: Collection[str], exclude_tags: Collection[str]) -> list[Any]:
    """Return the classes that have a task with the tags. Raises ConfigError for a tag that no task has."""
    classes = list(classes)
    if not tags and not exclude_tags:
        return classes
    known = sorted({tag for one in classes for task in _tasks(one) for tag in _tags(task)})
    unknown = sorted(set(tags) - set(known))
    if unknown:
        there_are = f"there are {', '.join(known)}" if known else "no task of this load test has tags"
        raise ConfigError(f"-T {' '.join(unknown)}: there is no such tag: {there_are}")
    wanted, left_out = set(tags), set(exclude_tags)
    return [one for one in classes if any(_is_left(_tags(task), wanted, left_out) for task in _tasks(one))]


def _tasks(holder: Any) -> Iterator[Any]:
    """Yield the tasks of a user class and of its task sets."""
    for task in getattr(holder, "tasks", ()):
        if hasattr(task, "tasks"):
            yield from _tasks(task)
        else:
            yield task


def _tags(task: Any) -> set[str]:
    return set(getattr(task, "locust_tag_set", ()))


def _is_left(of_task: set[str], tags: set[str], exclude_tags: set[str]) -> bool:
    """True when Locust keeps a task with the tags `of_task`."""
    return (not tags or bool(of_task & tags)) and not of_task & exclude_tags
