"""Describes the unfinished tasks of a loop and where they wait, for the text of a deadlock."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Any


def describe_waiters(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return one line for each unfinished task of `loop`, the oldest first."""
    tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
    return [_describe(task) for task in sorted(tasks, key=hash)]


def _describe(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    name = getattr(coroutine, "__qualname__", task.get_name())
    where = ""
    inner = coroutine
    while inner is not None:
        frame = _frame(inner)
        if frame is None:
            break
        where = f" at {PurePath(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
        inner = _awaited(inner)
    what = "" if inner is None else f" for {_name(inner)}"
    return f"{name}{where}{what}"


def _frame(awaitable: Any) -> Any:
    for attribute in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(awaitable, attribute, None)
        if frame is not None:
            return frame
    return None


def _awaited(awaitable: Any) -> Any:
    for attribute in ("cr_await", "gi_yieldfrom", "ag_await"):
        inner = getattr(awaitable, attribute, None)
        if inner is not None:
            return inner
    return None


def _name(awaitable: Any) -> str:
    if isinstance(awaitable, asyncio.Task):
        return f"a task ({awaitable.get_name()})"
    if isinstance(awaitable, asyncio.Future) or type(awaitable).__name__ == "FutureIter":
        return "a future"
    return type(awaitable).__name__
