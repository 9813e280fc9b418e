"""A submit that waits for its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from voxpool.scheduler.protocol.messages import JobResult, Partial, Submit, ToClient
from voxpool.scheduler.sdk.wire.connection import Connection


@dataclass(slots=True, eq=False)
class Request:
    """A submit in flight: its job id when the scheduler has accepted it, then its result."""

    submit: Submit
    retry_until_s: float
    """Until when it is submitted again after a rejection, in seconds of the loop."""
    accepted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    result: asyncio.Future[JobResult] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    job_id: str = ""
    sent: bool = False
    sent_over: Connection[ToClient] | None = None
    """The last connection over which it was submitted."""
    unwanted: bool = False
    """It is to be cancelled as soon as its job id is known."""
    again: asyncio.TimerHandle | None = None
    """When it was rejected: the time of the next try."""
    partial: Partial | None = None
    """The last partial result."""
    news: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Is done when the next partial result is there."""

    async def partials(self) -> AsyncGenerator[Partial, None]:
        """Yield the newest partial result whenever there is another one, until the result is there."""
        seen: Partial | None = None
        while not self.result.done():
            news = self.news
            if self.partial is not None and self.partial is not seen:
                seen = self.partial
                yield seen
            else:
                either: list[asyncio.Future[Any]] = [news, self.result]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
