"""The claim on a Redis: a key with a lease names the one scheduler that may use it, and its number of partitions.

Jobs live in the memory of their scheduler, so a second one on the same data would free what the first one has taken.
The lease ends by the clock of the server; no script reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.stores.answers import FAULTS, asked
from voxpool.scheduler.stores.facts import OWNER_KEY

PARTITIONS_KEY = "vp:partitions"
OWNER_LEASE_MS = 10_000
"""A scheduler that died is succeeded after this time; one that hangs for longer loses the store."""
ANSWER_S = 5.0
"""A server that takes longer for a command of the claim counts as lost."""
GIVE_BACK_S = 5.0
"""The same for the end of the lease, unless the scheduler has less time to stop."""
LOOK_S = 0.25
"""The time between two looks at a lease of another scheduler."""

_EXTEND = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
_DELETE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


async def agree_on(client: Any, url: str, key: str, name: str, value: object) -> None:
    """Enter the setting `name` of a new store, or compare it. Raises ConfigError, StoreUnavailable."""
    async with asked(url, f"the claim ({name})", ANSWER_S):
        await client.set(key, str(value), nx=True)
        stored = await client.get(key)
    if stored != str(value):
        raise ConfigError(
            f"store = {url!r} holds data of schedulers with {name} = {stored}, and this one has {name} = {value}: use "
            "the same, or another database"
        )


class Claim:
    """The lease of `owner` (a text that others are shown) on the store that `client` reaches.

    `on_lost` is called once, with the reason, when another scheduler has taken the store over: stop at once.
    """

    def __init__(
        self,
        client: Any,
        url: str,
        owner: str,
        on_lost: Callable[[str], None],
        partitions: int = 1,
        lease_ms: int = OWNER_LEASE_MS,
    ) -> None:
        self.lost = False
        self._on_lost = on_lost
        self._client = client
        self._url = url
        self.owner = owner
        self._partitions = partitions
        self._lease_ms = lease_ms
        self._keeper: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Take the store and keep it until `give_back`.

        It waits for the end of a lease that is not renewed, at most `lease_ms`. Raises ConfigError when another
        scheduler is alive there or when the partition counts differ, StoreUnavailable when the server doesn't answer.
        """
        await agree_on(self._client, self._url, PARTITIONS_KEY, "partitions", self._partitions)
        await self._wait_for_lease()
        self._keeper = asyncio.create_task(self._keep(), name="claim on the store")

    async def give_back(self, within_s: float = GIVE_BACK_S) -> None:
        """End the lease, if it is still ours, within `within_s`; errors don't matter, since it ends by itself."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable):
            async with asked(self._url, "the end of the claim", within_s):
                await self._client.eval(_DELETE, 1, OWNER_KEY, self.owner)

    async def _wait_for_lease(self) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + 2 * self._lease_ms / 1000
        holder, left_ms = "", self._lease_ms
        while True:
            async with asked(self._url, "the claim (its lease)", ANSWER_S):
                if await self._client.set(OWNER_KEY, self.owner, nx=True, px=self._lease_ms):
                    return
                now_holder = str(await self._client.get(OWNER_KEY) or "")
                now_left_ms = int(await self._client.pttl(OWNER_KEY))
            renewed = holder == now_holder and now_left_ms > left_ms
            if renewed or loop.time() > end_s:
                raise ConfigError(
                    f"store = {self._url!r} belongs to {now_holder or 'another scheduler'}, which is alive (its lease "
                    f"goes on for {now_left_ms / 1000:.1f} s): stop that one, or use another database, such as /1"
                )
            holder, left_ms = now_holder, now_left_ms
            await asyncio.sleep(min(LOOK_S, max(now_left_ms, 1) / 1000))

    async def is_held(self) -> bool:
        """Return whether a living scheduler has the store: it waits to see whether the lease is renewed."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._lease_ms / 1000
        holder, left_ms = "", self._lease_ms
        while True:
            async with asked(self._url, "the question who has claimed it", ANSWER_S):
                now_holder = str(await self._client.get(OWNER_KEY) or "")
                now_left_ms = int(await self._client.pttl(OWNER_KEY))
            if not now_holder:
                return False
            if (holder == now_holder and now_left_ms > left_ms) or loop.time() > end_s:
                return True
            holder, left_ms = now_holder, now_left_ms
            await asyncio.sleep(LOOK_S)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                async with asked(self._url, "the renewal of the claim", ANSWER_S):
                    if await self._client.eval(_EXTEND, 1, OWNER_KEY, self.owner, self._lease_ms):
                        continue
                    # Gone: it ended while the server could not be reached, or the data are lost.
                    if await self._client.set(OWNER_KEY, self.owner, nx=True, px=self._lease_ms):
                        continue
                    holder = str(await self._client.get(OWNER_KEY) or "")
            except StoreUnavailable:
                # The flushes report it, too. The next renewal looks for the server anew: it may be another one now.
                with contextlib.suppress(*FAULTS):
                    await self._client.connection_pool.disconnect(inuse_connections=False)
                continue
            if holder in ("", self.owner):
                continue  # free again, or ours after all: only a name proves another owner
            self.lost = True
            self._on_lost(f"store = {self._url!r} was taken over by {holder} while this scheduler could not renew")
            return
