"""How long to wait before the next try to connect: longer each time, never in step with the others."""

from __future__ import annotations

import random

FIRST_S = 0.1
LONGEST_S = 5.0


class Backoff:
    """Pauses of 0.1 s, doubling to `longest_s`, each cut by up to a half at random."""

    def __init__(self, random: random.Random) -> None:
        self.longest_s = LONGEST_S
        self._random = random
        self._next_s = FIRST_S

    def pause_s(self) -> float:
        """Return the next pause in seconds."""
        pause_s = min(self._next_s, self.longest_s) * (0.5 + self._random.random() / 2)
        self._next_s = min(2 * self._next_s, self.longest_s)
        return pause_s

    def reset(self) -> None:
        """Begin again with the first pause: a connection was made."""
        self._next_s = FIRST_S
