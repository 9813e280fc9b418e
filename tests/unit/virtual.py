"""Runs an async test on virtual time: hours pass at once, and everything happens exactly when it is due."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from voxpool.sim.virtual_time.loop import VirtualLoop

P = ParamSpec("P")


def virtual(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Return `test` as a function that runs it on a VirtualLoop of its own, and cancels the tasks that are left."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        VirtualLoop().run_until_complete(_whole(test(*args, **kwargs)))

    return run


async def _whole(test: Awaitable[None]) -> None:
    try:
        await test
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
