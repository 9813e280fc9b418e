"""The results of one session in the order of its submits: one that is too early is held back for a time. Pure.

It lives as long as its session (Outbox in sessions/results.py) and knows no clock, no socket and no job: keys go in,
results come out.
"""

from __future__ import annotations

from typing import Generic, TypeVar

R = TypeVar("R")


class InOrder(Generic[R]):
    """Holds a result back until those of all earlier submits are out, but for `grace_ms` at most.

    After that the gap before it is skipped: a missing result is sent when it comes, late and out of order, and is not
    lost. At most `held_max` results are held; past it the gap before the one that is held longest is skipped at once.
    """

    def __init__(self, grace_ms: int, held_max: int) -> None:
        self._grace_ms = grace_ms
        self._held_max = held_max
        self._submits = 0
        self._next = 0
        """The place of the result that goes out next. An empty buffer keeps it: otherwise results would get stuck."""
        self._places: dict[str, int] = {}
        """Place of each submit whose result has not come."""
        self._held: dict[int, tuple[int, R]] = {}
        """Place -> since when it is held, and the result; the longest held first."""

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"<in order: {len(self._held)} held, next is {self._next} of {self._submits}>"

    def submitted(self, key: str) -> None:
        """Give `key` the next place, unless it has one and is still missing."""
        if key not in self._places:
            self._places[key] = self._submits
            self._submits += 1

    def ended(self, key: str, result: R, now_ms: int) -> list[R]:
        """Take the result of `key` and return what may go out now, in order. A key without a place goes out at once."""
        place = self._places.pop(key, None)
        if place is None or place < self._next:
            return [result]
        self._held[place] = (now_ms, result)
        ready = self._take_ready()
        if len(self._held) > self._held_max:
            ready += self._skip_to(next(iter(self._held)))
        return ready

    @property
    def due_ms(self) -> int | None:
        """When a gap is to be skipped, or None when nothing is held."""
        for since_ms, _ in self._held.values():
            return since_ms + self._grace_ms
        return None

    def skip_gap(self, now_ms: int) -> list[R]:
        """Return, in order, what has been held for its grace and all that is held before it."""
        ready: list[R] = []
        while (due_ms := self.due_ms) is not None and due_ms <= now_ms:
            ready += self._skip_to(next(iter(self._held)))
        return ready

    def release(self) -> list[R]:
        """Return, in order, all that is held, whatever is missing before it."""
        return self._skip_to(max(self._held)) if self._held else []

    def _skip_to(self, place: int) -> list[R]:
        """Return everything up to `place`, whatever is missing before it."""
        before = sorted(held for held in self._held if held <= place)
        ready = [self._held.pop(held)[1] for held in before]
        self._next = place + 1
        return ready + self._take_ready()

    def _take_ready(self) -> list[R]:
        ready = []
        while self._next in self._held:
            ready.append(self._held.pop(self._next)[1])
            self._next += 1
        return ready
