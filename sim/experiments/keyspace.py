"""The Redis commands that the old designs used, in virtual time: strings, hashes, sets, time to live, SCAN.

A key of the wrong kind raises WrongType, as in Redis; an expired key is removed at its next access.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

Value = str | dict[str, str] | dict[str, None]


class WrongType(Exception):
    """WRONGTYPE: operation against a key holding the wrong kind of value."""


class Keyspace:
    """Keys with values and optional expiry. `now_s` is the clock, in seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._strings: dict[str, str] = {}
        self._hashes: dict[str, dict[str, str]] = {}
        self._sets: dict[str, dict[str, None]] = {}  # dicts, for the same order in every process
        self._ends_s: dict[str, float] = {}

    def __len__(self) -> int:
        """Return the number of keys that have not expired."""
        return sum(1 for _ in self.scan("*"))

    def exists(self, key: str) -> bool:
        """EXISTS."""
        self._drop_if_over(key)
        return any(key in values for values in (self._strings, self._hashes, self._sets))

    def scan(self, pattern: str) -> Iterator[str]:
        """SCAN MATCH `pattern` to the end: yields the keys that existed at the start, in the order of creation."""
        keys = [*self._strings, *self._hashes, *self._sets]
        return iter([key for key in keys if fnmatchcase(key, pattern) and self.exists(key)])

    def expire(self, key: str, seconds: float) -> None:
        """EXPIRE."""
        if self.exists(key):
            self._ends_s[key] = self._now_s() + seconds

    def delete(self, key: str) -> None:
        """DEL."""
        for values in (self._strings, self._hashes, self._sets):
            values.pop(key, None)
        self._ends_s.pop(key, None)

    # ---- strings

    def set(self, key: str, value: str, ttl_s: float | None = None) -> None:
        """SET, with EX when `ttl_s` is given."""
        self.delete(key)
        self._strings[key] = value
        if ttl_s is not None:
            self.expire(key, ttl_s)

    def get(self, key: str) -> str | None:
        """GET."""
        self._check(key, self._strings)
        return self._strings.get(key)

    def incr(self, key: str, by: int = 1) -> int:
        """INCRBY."""
        value = int(self.get(key) or 0) + by
        self._strings[key] = str(value)
        return value

    # ---- hashes

    def hset(self, key: str, **fields: str) -> None:
        """HSET."""
        self._check(key, self._hashes)
        self._hashes.setdefault(key, {}).update(fields)

    def hgetall(self, key: str) -> dict[str, str]:
        """HGETALL."""
        self._check(key, self._hashes)
        return dict(self._hashes.get(key, {}))

    def hdel(self, key: str, field: str) -> None:
        """HDEL."""
        self._check(key, self._hashes)
        fields = self._hashes.get(key, {})
        fields.pop(field, None)
        if not fields:
            self.delete(key)

    # ---- sets

    def sadd(self, key: str, member: str) -> None:
        """SADD."""
        self._check(key, self._sets)
        self._sets.setdefault(key, {})[member] = None

    def srem(self, key: str, member: str) -> None:
        """SREM."""
        self._check(key, self._sets)
        members = self._sets.get(key, {})
        members.pop(member, None)
        if not members:
            self.delete(key)

    def smembers(self, key: str) -> list[str]:
        """SMEMBERS."""
        self._check(key, self._sets)
        return list(self._sets.get(key, {}))

    def scard(self, key: str) -> int:
        """SCARD."""
        return len(self.smembers(key))

    def _check(self, key: str, kind: object) -> None:
        if not self.exists(key):
            return
        for values in (self._strings, self._hashes, self._sets):
            if values is not kind and key in values:
                raise WrongType(key)

    def _drop_if_over(self, key: str) -> None:
        end_s = self._ends_s.get(key)
        if end_s is not None and end_s <= self._now_s():
            self.delete(key)
