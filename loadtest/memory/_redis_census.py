"""Counts the content of Redis by family of keys: SCAN, then MEMORY USAGE and the number of members of each key.

A family is a key without its variable part: `vp:{0}:leases` is "leases", `vp:{0}:job:7f3a` is "job". It only reads, a
thousand keys per call, and stops at its bounds, so that it does not slow the server down.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from voxpool.leakgate.errors import NoReading
from voxpool.scheduler.stores.shown import without_password

KEYS_MAX = 200_000
"""Maximum number of keys in one census; above it there are no figures."""
KEYS_A_CALL = 1000
TIME_MAX_S = 5.0
FAMILIES_MAX = 50
"""Maximum number of key families that are counted separately; the rest are "others"."""
OTHERS = "others"
_COUNTED_BY = {"zset": "zcard", "hash": "hlen", "set": "scard", "list": "llen", "stream": "xlen"}


class Census(msgspec.Struct, frozen=True):
    """The content at one time, by family."""

    keys: dict[str, int]
    members: dict[str, int]
    """Numbers of members of sorted sets, hashes, sets, lists and streams; a string counts as one."""
    bytes: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """Return the bytes of all families."""
        return sum(self.bytes.values())


class RedisCensus:
    """Takes censuses of one server. `seconds` is a monotonic clock."""

    def __init__(self, url: str, seconds: Callable[[], float]) -> None:
        self.url = without_password(url)
        self._seconds = seconds
        try:
            self._redis: Any = Redis.from_url(
                url, socket_timeout=TIME_MAX_S, socket_connect_timeout=TIME_MAX_S, decode_responses=True
            )
        except (ValueError, RedisError) as error:
            raise NoReading(f"{self.url}: {error}") from error

    def take(self) -> Census:
        """Return the current content. Raises NoReading."""
        try:
            return self._take()
        except (RedisError, OSError) as error:
            raise NoReading(f"{self.url}: {str(error) or type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _take(self) -> Census:
        keys: Counter[str] = Counter()
        members: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        end_s = self._seconds() + TIME_MAX_S
        seen: set[str] = set()
        for scanned in _in_parts(self._redis.scan_iter(count=KEYS_A_CALL), KEYS_A_CALL):
            some = [
                key for key in dict.fromkeys(scanned) if key not in seen
            ]  # SCAN may name a key twice while the server's table changes its size
            seen.update(some)
            for key, size, count in zip(some, *self._measure(some), strict=True):
                if size is not None:  # None: it was removed since the scan
                    family = self._family(key, keys)
                    keys[family] += 1
                    sizes[family] += size
                    members[family] += count
            if len(seen) > KEYS_MAX or self._seconds() > end_s:
                raise NoReading(f"{self.url}: too much to count: more than {KEYS_MAX:,} keys, or {TIME_MAX_S:g} s")
        return Census(dict(keys), dict(members), dict(sizes))

    def _measure(self, keys: list[str]) -> tuple[list[int | None], list[int]]:
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.memory_usage(key)
            pipe.type(key)
        answers = pipe.execute()
        sizes, kinds = answers[0::2], answers[1::2]
        pipe = self._redis.pipeline(transaction=False)
        counted = [kind in _COUNTED_BY for kind in kinds]
        for key, kind in zip(keys, kinds, strict=True):
            if kind in _COUNTED_BY:
                getattr(pipe, _COUNTED_BY[kind])(key)
        found = iter(pipe.execute() if any(counted) else [])
        return sizes, [next(found) if is_counted else 1 for is_counted in counted]

    def _family(self, key: str, known: Counter[str]) -> str:
        family = family_of(key)
        return family if family in known or len(known) < FAMILIES_MAX else OTHERS


def family_of(key: str) -> str:
    """Return the family of `key`: for voxpool's the word after the partition, for others the first part."""
    parts = key.split(":")
    if parts[0] == "vp" and len(parts) >= 3 and parts[1].startswith("{"):
        return parts[2]
    return ":".join(parts[:2]) if parts[0] == "vp" else f"not of voxpool: {parts[0][:32]}"


def reachable_url(asked: str, of_the_scheduler: str) -> str:
    """Return the URL for the census: `asked` (the option) if given, else the scheduler's store when it is reachable
    from here; "" when there is none. A unix socket must exist here, because the scheduler may run on another machine.
    """
    if asked or not of_the_scheduler:
        return asked
    parts = urlsplit(of_the_scheduler)
    if parts.scheme == "unix":
        return of_the_scheduler if os.path.exists(parts.path) else ""
    return of_the_scheduler


def _in_parts(keys: Iterator[str], size: int) -> Iterator[list[str]]:
    while part := list(islice(keys, size)):
        yield part
