"""The subscription of one scheduler to the hints of one partition of jobs (lua/README.md); a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.stores.answers import FAULTS
from voxpool.scheduler.stores.redis import pool_of
from voxpool.scheduler.stores.script_sources import JOBS

AGAIN_S = 0.1
"""The pause before a subscription that broke begins again."""
POLL_S = 5.0
"""After as long without a message the connection is tested; after twice as long it counts as lost."""


class Hints:
    """Passes each hint to `on_hint`. `on_subscribed` is called before: at the start, and after each break.

    `locate` returns the URL of the server that has the partition; `on_break` is called when it has to be located again.
    """

    def __init__(
        self,
        locate: Callable[[], Awaitable[str]],
        partition: int,
        scheduler: str,
        on_subscribed: Callable[[], None],
        on_hint: Callable[[str], None],
        on_break: Callable[[], None] = lambda: None,
        poll_s: float = POLL_S,
    ) -> None:
        self._locate = locate
        self._channel = f"{JOBS.keys(partition)[-1]}:{scheduler}"
        self._on_subscribed = on_subscribed
        self._on_hint = on_hint
        self._on_break = on_break
        self._poll_s = poll_s
        self._listening: asyncio.Task[None] | None = None
        self._at = ""
        """The URL of the server that is listened to."""

    async def run_forever(self) -> None:
        """Listen until cancelled."""
        while True:
            self._listening = listening = asyncio.create_task(self._connect())
            try:
                await asyncio.wait([listening])
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            if not listening.cancelled():
                listening.result()
            self._on_break()
            await asyncio.sleep(AGAIN_S)

    def follow(self, url: str) -> None:
        """The partition is at `url` now: subscribe there."""
        if self._listening is not None and self._at not in ("", url):
            self._listening.cancel()

    async def _connect(self) -> None:
        """Listen until the connection breaks."""
        with contextlib.suppress(StoreUnavailable, *FAULTS):
            self._at = await self._locate()
            client: Any = Redis(connection_pool=pool_of(self._at))
            try:
                await self._listen(client)
            finally:
                self._at = ""
                with contextlib.suppress(*FAULTS):
                    await client.aclose(close_connection_pool=True)

    async def _listen(self, client: Any) -> None:
        """Return when the partition has moved or the server is silent."""
        is_tested = False
        async with client.pubsub() as subscription:
            await subscription.ssubscribe(self._channel)
            while True:
                message = await subscription.get_message(timeout=self._poll_s)
                if message is None:
                    if is_tested:
                        return  # a half-open connection: hints would be lost for as long as it stays
                    await subscription.ping()
                elif message["type"] == "ssubscribe":
                    self._on_subscribed()
                elif message["type"] == "smessage":
                    self._on_hint(message["data"])
                elif message["type"] == "sunsubscribe":
                    return  # the slot of the partition has moved to another server
                is_tested = message is None
