"""Locust's -T and -E before a load: users without a task would each die with a traceback."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from scheduler.errors import ConfigError


def check_tags(classes: Iterable[Any], tags: Collection[str], exclude_tags: Collection[str]) -> None:
    """Make sure that some task has each of `tags`, and that a task is left to each user class. Raises ConfigError."""
    if not tags and not exclude_tags:
        return
    classes = list(classes)
    known = sorted({tag for one in classes for task in _tasks(one) for tag in _tags(task)})
    unknown = sorted(set(tags) - set(known))
    if unknown:
        there_are = f"there are {', '.join(known)}" if known else "no task of this load test has tags"
        raise ConfigError(f"-T {' '.join(unknown)}: there is no such tag: {there_are}")
    for one in classes:
        left = [task for task in _tasks(one) if _is_left(_tags(task), set(tags), set(exclude_tags))]
        if not left:
            given = " ".join([*(f"-T {tag}" for tag in sorted(tags)), *(f"-E {tag}" for tag in sorted(exclude_tags))])
            raise ConfigError(f"{given}: {one.__name__} would have no task left: leave out the tags or the class")


def _tasks(holder: Any) -> Iterator[Any]:
    """Yield the tasks of a user class, and those of its task sets."""
    for task in getattr(holder, "tasks", ()):
        if hasattr(task, "tasks"):
            yield from _tasks(task)
        else:
            yield task


def _tags(task: Any) -> set[str]:
    return set(getattr(task, "locust_tag_set", ()))


def _is_left(of_task: set[str], tags: set[str], exclude_tags: set[str]) -> bool:
    """Whether Locust keeps a task with the tags `of_task`."""
    return (not tags or bool(of_task & tags)) and not of_task & exclude_tags
