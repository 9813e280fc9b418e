"""Asks the store on behalf of a request, which must not wait for a store that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from voxpool.scheduler.config import Settings, ms
from voxpool.scheduler.core.jobs.reasons import STORE_UNAVAILABLE
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.shared.partition.feed import Feed

T = TypeVar("T")


async def answer_of(feed: Feed, ask: Callable[[Callable[[T], None]], None], settings: Settings) -> T:
    """Return what the store answers; `ask` gets what is to be called with it.

    Raises Rejected (store_unavailable): at once while flushes of `feed` fail, else when the answer takes twice
    `store_refuse_s`.
    """
    patience_s = 2 * settings.store_refuse_s
    if not feed.is_repeating:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        ask(lambda found: None if answer.done() else answer.set_result(found))
        try:
            async with asyncio.timeout(patience_s):
                return await answer
        except TimeoutError:
            pass
    raise Rejected(STORE_UNAVAILABLE, "the store with the jobs does not answer", ms(settings.retry_after_s))
