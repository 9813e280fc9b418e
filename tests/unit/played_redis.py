"""The few commands of Redis that a claim uses, on the time of the loop; it can be down or hang."""

from __future__ import annotations

import asyncio
from typing import Any

from redis import exceptions


class PlayedRedis:
    """Replaces a client of redis-py."""

    def __init__(self) -> None:
        self.is_away = False
        self.hangs_s = 0.0
        """Delay of an answer."""
        self.disconnects = 0
        self.is_closed = False
        self.commands: list[str] = []
        self.connection_pool = self
        self._values: dict[str, tuple[str, float]] = {}
        """Key -> its value, and the time in ms at which it expires."""

    async def set(self, key: str, value: Any, nx: bool = False, px: int | None = None) -> bool | None:
        await self._answers("SET")
        if nx and self.value(key) is not None:
            return None
        self._values[key] = (str(value), float("inf") if px is None else self._now_ms() + px)
        return True

    async def get(self, key: str) -> str | None:
        await self._answers("GET")
        return self.value(key)

    async def pttl(self, key: str) -> int:
        await self._answers("PTTL")
        return self.left_ms(key)

    async def eval(self, script: str, keys: int, key: str, owner: str, *px: int) -> int:
        await self._answers("PEXPIRE" if "PEXPIRE" in script else "DEL")
        assert keys == 1
        if self.value(key) != owner:
            return 0
        if px:
            self._values[key] = (owner, self._now_ms() + px[0])
        else:
            del self._values[key]
        return 1

    async def info(self) -> dict[str, str]:
        await self._answers("INFO")
        return {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "role": "master"}

    async def time(self) -> tuple[int, int]:
        await self._answers("TIME")
        return 0, 0

    async def aclose(self, close_connection_pool: bool) -> None:
        self.is_closed = close_connection_pool

    async def disconnect(self, inuse_connections: bool = True) -> None:
        assert not inuse_connections
        self.disconnects += 1

    def value(self, key: str) -> str | None:
        """Return the current value of the key."""
        value, until_ms = self._values.get(key, (None, 0.0))
        return value if until_ms > self._now_ms() else None

    def left_ms(self, key: str) -> int:
        """Return its remaining time; below 0 as PTTL."""
        until_ms = self._values[key][1] if self.value(key) is not None else 0.0
        return -2 if not until_ms else -1 if until_ms == float("inf") else round(until_ms - self._now_ms())

    def flush(self) -> None:
        self._values.clear()

    async def _answers(self, command: str) -> None:
        self.commands.append(command)
        if self.hangs_s:
            await asyncio.sleep(self.hangs_s)
        if self.is_away:
            raise exceptions.ConnectionError("refused")

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000
