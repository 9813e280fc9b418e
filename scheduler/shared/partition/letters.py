"""Which messages of a partition have been handled, and may be acknowledged. Pure.

A message comes as a hint, which can be lost, and is stored until it is acknowledged. Acknowledging a number
acknowledges all before it, so after a break of the subscription no hint counts until the stored messages were read.
"""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.shared.partition.calls import Mail, Said, mail_of

NONE = "0" * 16
READ_MAX = 500


class Letters:
    """The messages for one scheduler in one partition."""

    def __init__(self) -> None:
        self.handled = NONE
        """All up to this number have been handled."""
        self._acknowledged = NONE
        self._has_gap = True
        self._early = NONE
        """The last hint that was handled while there was a gap: the stored message is acknowledged when it is read."""
        self.must_read = True
        """Whether the stored messages have to be read."""

    def broke(self) -> None:
        """The subscription has begun (again): hints may have been lost before."""
        self._has_gap = self.must_read = True

    def begin_anew(self) -> None:
        """The store has lost data: its numbers may be smaller now."""
        self.handled = self._acknowledged = NONE
        self.broke()

    def hint(self, number: str) -> None:
        """A hint was handled."""
        if self._has_gap:
            self._early = max(self._early, number)
        else:
            self.handled = max(self.handled, number)

    def upto(self) -> str | None:
        """Return the number for a call of mail in the flush that is composed now; None = none is needed."""
        if not self.must_read and self.handled == self._acknowledged:
            return None
        self.must_read = False
        return self.handled

    def read(self, upto: str, answer: Sequence[str]) -> list[Mail]:
        """Take the answer to mail; return the messages to be handled now."""
        if upto <= self.handled:  # else the store has lost data since the call was sent
            self._acknowledged = max(self._acknowledged, upto)
        found = [mail_of(text) for text in answer[1:]]
        if found:
            self.handled = max(self.handled, found[-1].number)
        early, self._early = self._early, NONE
        if answer[0] == Said.MORE or early > self.handled:
            self.must_read = True
        elif not self.must_read:  # no break since the call was composed
            self._has_gap = False
        return found
