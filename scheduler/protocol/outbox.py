"""The results that are due to one session over all its connections: their order, numbers and receipt. Pure.

A result is expected, held back while an earlier one is missing (in_order.py), goes out under the next number, and is
forgotten when the client has acknowledged that number. It knows no clock, no socket and no job: keys go in, numbered
results come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from voxpool.scheduler.protocol.in_order import InOrder

R = TypeVar("R")


class Numbered(NamedTuple, Generic[R]):
    """A result that goes out; numbers rise by one from 1."""

    number: int
    result: R


class Outbox(Generic[R]):
    """Each key that is expected goes out once. The keys that went out are kept until their numbers are acknowledged.

    Results themselves are kept only while an earlier one is missing: at most `held_max`, for `grace_ms` at most.
    """

    def __init__(self, grace_ms: int, held_max: int) -> None:
        self.number = 0
        """The last number that was given to a result."""
        self.keeps = True
        """Whether a result that goes out now is kept until it is acknowledged; else it counts as received."""
        self._grace_ms = grace_ms
        self._held_max = held_max
        self._order: InOrder[tuple[str, R]] | None = None
        self._expected: dict[str, bool] = {}
        """Key of each result that is not out -> whether the job belongs to this session."""
        self._unacknowledged: dict[str, int] = {}
        """Key of each result that is out -> its number; in the order of the numbers."""

    def __len__(self) -> int:
        return len(self._unacknowledged)

    def __repr__(self) -> str:
        return f"<outbox: {len(self._expected)} expected, {len(self)} unacknowledged, last number {self.number}>"

    @property
    def expected(self) -> list[str]:
        """The keys of results that are not out yet."""
        return list(self._expected)

    @property
    def own(self) -> list[str]:
        """Those of them whose jobs belong to this session."""
        return [key for key, is_own in self._expected.items() if is_own]

    def owes(self, key: str) -> bool:
        """Return whether the result of `key` is expected, or out and not acknowledged."""
        return key in self._expected or key in self._unacknowledged

    def expect(self, key: str, is_own: bool) -> bool:
        """Expect the result of `key`; return False when it is expected already, or on its way to the client."""
        if self.owes(key):
            return False
        self._expected[key] = is_own
        if self._order is not None:
            self._order.submitted(key)
        return True

    def ended(self, key: str, result: R, now_ms: int) -> list[Numbered[R]]:
        """Take the result of `key` and return what goes out now."""
        if self._order is None:
            return self._out([(key, result)])
        return self._out(self._order.ended(key, (key, result), now_ms))

    def put_in_order(self, is_wanted: bool) -> list[Numbered[R]]:
        """Choose results in the order of their keys, or as they come; return what goes out because of it."""
        if is_wanted == (self._order is not None):
            return []
        if self._order is not None:
            held, self._order = self._order.release(), None
            return self._out(held)
        self._order = InOrder(self._grace_ms, self._held_max)
        for key in self._expected:
            self._order.submitted(key)
        return []

    @property
    def due_ms(self) -> int | None:
        """When `skip_gap` is to be called; None = never."""
        return None if self._order is None else self._order.due_ms

    def skip_gap(self, now_ms: int) -> list[Numbered[R]]:
        """Return what goes out because an earlier result was missing for too long."""
        return [] if self._order is None else self._out(self._order.skip_gap(now_ms))

    def acknowledge(self, number: int) -> None:
        """The client has all results up to `number`. Raises ValueError when that was never given."""
        if number > self.number:
            raise ValueError(f"result {number} was not sent; the last one is {self.number}")
        has = []
        for key, sent in self._unacknowledged.items():
            if sent > number:
                break
            has.append(key)
        for key in has:
            del self._unacknowledged[key]

    def unacknowledged(self) -> Iterator[tuple[int, str]]:
        """Yield number and key of what is out and not acknowledged, in the order of the numbers."""
        for key, number in self._unacknowledged.items():
            yield number, key

    def forget(self, keys: list[str]) -> None:
        """Count these as acknowledged: their results can't be sent again."""
        for key in keys:
            self._unacknowledged.pop(key, None)

    def _out(self, ready: list[tuple[str, R]]) -> list[Numbered[R]]:
        out = []
        for key, result in ready:
            self._expected.pop(key, None)
            self.number += 1
            if self.keeps:
                self._unacknowledged[key] = self.number
            out.append(Numbered(self.number, result))
        return out
