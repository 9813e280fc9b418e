"""When refused submits should come again: a line for each pair, in which each refusal has a time of its own. Pure.

Submits that are refused at one moment would otherwise return at one moment, when there is room for a few. Here the
times are spaced by what the pair needs to start a job. A submit that returns at its time (known by its request id) is
preferred to new ones.
"""

from __future__ import annotations

from typing import NamedTuple

PLACES_MAX = 20_000
"""Refusals whose times are remembered, in 4 MB; past it a submit gets the time of the end of the line, and no place."""
LATE_MS_MIN = 2000
"""How late a submit may come and keep its place, or half of its time if that is more: the SDK lengthens its pauses by a
random part of up to a half."""
AFTER_MS_MAX = 60_000
"""The longest time that is given: no later one can be predicted."""
SHARE_STEP = 1 / 16
"""By how much one refusal that came again, or did not, changes the share that is expected to."""
SHARE_MIN = 0.02


class Line:
    """The line of one pair."""

    __slots__ = ("next_ms", "places", "share")

    def __init__(self) -> None:
        self.next_ms = 0.0
        """The earliest time that is not given to a refusal."""
        self.share = 1.0
        """The share of the refusals that come again: each counts as this part of a start."""
        self.places = 0

    @property
    def expected(self) -> float:
        """How many of those that have a place in it are expected to come again."""
        return self.share * self.places

    def saw(self, came: bool) -> None:
        """Learn from a refusal that came again, or did not; it has no place any more."""
        self.places -= 1
        self.share = max(SHARE_MIN, self.share + SHARE_STEP * (came - self.share))


class Place(NamedTuple):
    """The time from which on a submit may come again, and until when it has its place."""

    line: Line
    due_ms: int
    until_ms: int


class ReturnTimes:
    """The places of all lines, by request key."""

    def __init__(self, places_max: int = PLACES_MAX) -> None:
        self._places_max = places_max
        self._places: dict[str, Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def is_due(self, key: str, now_ms: int) -> bool:
        """Return whether this submit comes again at its time."""
        place = self._places.get(key)
        return place is not None and place.due_ms <= now_ms <= place.until_ms

    def give(self, key: str, line: Line, now_ms: int, least_ms: int, start_ms: float) -> int:
        """Return after how many ms a refused submit should come again, `least_ms` at the earliest.

        One start of the pair takes `start_ms`. A submit that comes before its time keeps its place.
        """
        self._forget_late(now_ms)
        known = self._places.get(key)
        if known is not None and now_ms < known.due_ms:
            return known.due_ms - now_ms
        line.next_ms = min(max(line.next_ms, now_ms) + line.share * start_ms, now_ms + AFTER_MS_MAX)
        after_ms = max(least_ms, round(line.next_ms - now_ms))
        if known is not None or len(self._places) < self._places_max:
            line.places += known is None
            self._places.pop(key, None)
            due_ms = now_ms + after_ms
            self._places[key] = Place(line, due_ms, due_ms + max(LATE_MS_MIN, after_ms // 2))
        return after_ms

    def accepted(self, key: str) -> None:
        """Note that this submit was accepted; nothing happens when it had never been refused."""
        place = self._places.pop(key, None)
        if place is not None:
            place.line.saw(came=True)

    def _forget_late(self, now_ms: int) -> None:
        """Forget the oldest places whose time is over; they end nearly in the order in which they were given."""
        while self._places:
            key = next(iter(self._places))
            place = self._places[key]
            if now_ms <= place.until_ms:
                return
            del self._places[key]
            place.line.saw(came=False)
