"""The subscription of one scheduler to the hints of one partition of jobs (lua/README.md); a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from voxpool.scheduler.stores.answers import CONNECT_TIMEOUT_S, FAULTS
from voxpool.scheduler.stores.script_sources import JOBS

AGAIN_S = 0.1
"""The pause before a subscription that broke begins again."""
POLL_S = 5.0
"""So long a subscription is read before its connection is tested."""


class Hints:
    """Passes each hint to `on_hint`. `on_subscribed` is called before: at the start, and after each break."""

    def __init__(
        self,
        url: str,
        partition: int,
        scheduler: str,
        on_subscribed: Callable[[], None],
        on_hint: Callable[[str], None],
    ) -> None:
        self._url = url
        self._channel = f"{JOBS.keys(partition)[-1]}:{scheduler}"
        self._on_subscribed = on_subscribed
        self._on_hint = on_hint

    async def run_forever(self) -> None:
        """Listen until cancelled."""
        while True:
            client: Any = Redis.from_url(self._url, decode_responses=True, socket_connect_timeout=CONNECT_TIMEOUT_S)
            try:
                with contextlib.suppress(*FAULTS):
                    await self._listen(client)
            finally:
                with contextlib.suppress(*FAULTS):
                    await client.aclose()
            await asyncio.sleep(AGAIN_S)

    async def _listen(self, client: Any) -> None:
        async with client.pubsub() as subscription:
            await subscription.ssubscribe(self._channel)
            while True:
                message = await subscription.get_message(timeout=POLL_S)
                if message is None:
                    await subscription.ping()
                elif message["type"] == "ssubscribe":
                    self._on_subscribed()
                elif message["type"] == "smessage":
                    self._on_hint(message["data"])
