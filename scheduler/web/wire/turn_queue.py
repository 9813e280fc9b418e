"""Strangers are parsed one after the other, one in each iteration of the event loop.

However many strangers send at once, other work waits for one turn of one of them only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turn:
    """A place in the queue; `callback` is called once, unless the place was given up."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Give the place up."""
        self.callback = None


class TurnQueue:
    """The peers that wait for their turn, in the order in which they came. A peer has one place at most."""

    def __init__(self) -> None:
        self._waiting: deque[Turn] = deque()
        self._is_taken = False
        """Whether a peer had the turn of this iteration of the loop."""

    def take(self) -> bool:
        """Take the turn of this iteration if no peer had it and none waits; return whether it was taken."""
        if self._is_taken:
            return False
        self._is_taken = True
        asyncio.get_running_loop().call_soon(self._next)
        return True

    def wait(self, callback: Callable[[], None]) -> Turn:
        """Call `callback` when it is this peer's turn."""
        turn = Turn(callback)
        self._waiting.append(turn)
        self.take()
        return turn

    def _next(self) -> None:
        self._is_taken = False
        while self._waiting:
            callback = self._waiting.popleft().callback
            if callback is not None:
                self.take()
                callback()
                return
