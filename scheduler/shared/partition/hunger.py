"""For which pairs a scheduler asks a partition for jobs. Pure: no store, no node.

A pair is asked for when jobs may wait (an invitation came, or one may have been lost), or when there is a free slot and
the store does not know it yet. At most one question for a pair is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

TAKE_MAX = 64
"""Jobs that are asked for at once after an invitation. Without one it is 1: a slot that is reserved for the question is
hidden from the clients here until the answer comes."""


@dataclass(slots=True)
class Pair:
    """What is known of a pair."""

    look: bool = False
    """Jobs may wait there; or an invitation has to be passed on."""
    hungry: bool = False
    """The store knows that there is room here, and will invite."""
    asking: bool = False
    served: bool = False
    """Whether nodes here serve it."""


class Hunger:
    """The pairs of one partition that nodes here have served."""

    def __init__(self) -> None:
        self._pairs: dict[str, Pair] = {}

    def __iter__(self) -> Iterator[tuple[str, Pair]]:
        return iter(self._pairs.items())

    def served(self, pair: str) -> None:
        """Note that a node here serves `pair`."""
        known = self._pairs.get(pair)
        if known is None:
            known = self._pairs[pair] = Pair()
        known.served = True

    def left(self, pair: str) -> None:
        """No node here serves `pair` any more: the store is told, then the pair is forgotten."""
        known = self._pairs.get(pair)
        if known is not None:
            known.served, known.look = False, True

    def invited(self, pair: str) -> None:
        """The store has taken the wish for `pair` out: jobs wait, or waited."""
        known = self._pairs.setdefault(pair, Pair())
        known.look, known.hungry = True, False

    def look_everywhere(self) -> None:
        """An invitation may have been lost with somebody who died."""
        for pair in self._pairs.values():
            pair.look, pair.hungry = True, False

    def forget(self) -> None:
        """The store may have forgotten the wishes.

        The answer to a question that is on its way proves nothing: it may be older than that.
        """
        for pair in self._pairs.values():
            pair.hungry = False
            pair.look = pair.look or pair.asking

    def wants(self, has_room: Callable[[str], bool]) -> list[str]:
        """Return the pairs that must be asked for now."""
        return [
            name
            for name, pair in self._pairs.items()
            if not pair.asking and (pair.look or (not pair.hungry and has_room(name)))
        ]

    def ask(self, pair: str) -> int:
        """Begin a question; return how many jobs it may be for."""
        known = self._pairs[pair]
        most = TAKE_MAX if known.look else 1
        known.look, known.asking = False, True
        return most

    def answered(self, pair: str, want: int, got: int, has_room: bool) -> None:
        """A question for `want` jobs has brought `got`."""
        known = self._pairs[pair]
        known.asking = False
        known.hungry = got < want and not known.look
        if want and got == want and has_room:
            known.look = True
        if not (known.served or known.look):
            del self._pairs[pair]
