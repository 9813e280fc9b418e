"""Which results of a session this client has handled, by their numbers, and when it acknowledges them to the scheduler.

Each submit acknowledges, too; otherwise an acknowledgement is sent after a short time, for all results of that time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ACK_S = 0.1
"""Time after which a result is acknowledged at the latest."""
ACK_RESULTS = 100
"""This number of results is acknowledged without delay."""


class Acknowledgements:
    """`send` is called with the number of the last result that was handled; it must not wait."""

    def __init__(self, send: Callable[[int], None]) -> None:
        self.generation = ""
        """What the numbers belong to; the scheduler gives another one when it has forgotten the session."""
        self.handled = 0
        """The number of the last result that was handled."""
        self._said = 0
        self._send = send
        self._timer: asyncio.TimerHandle | None = None

    def welcomed(self, generation: str) -> None:
        """A connection was made; its greeting has acknowledged what was handled."""
        if generation != self.generation:
            self.generation, self.handled = generation, 0
        self._said = self.handled

    def came_before(self, number: int | None) -> bool:
        """Return whether the result of that number was handled already; results without one are not numbered."""
        return number is not None and number <= self.handled

    def was_handled(self, number: int | None) -> None:
        """Note that the result of that number was handled, and acknowledge it soon."""
        if number is None:
            return
        self.handled = number
        if self.handled - self._said >= ACK_RESULTS:
            self._say()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_S, self._is_due)

    def said_by_submit(self) -> int:
        """Return the acknowledgement for a submit that is sent now."""
        self._said = self.handled
        return self.handled

    def stop(self) -> None:
        """Send no acknowledgements any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _is_due(self) -> None:
        self._timer = None
        self._say()

    def _say(self) -> None:
        if self.handled > self._said:
            self._said = self.handled
            self._send(self.handled)
