"""What the drivers of both data models share: a step follows from its kind and number, and flushes are repeated."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from tests.contract.sides import Side
from voxpool.scheduler.core.scripts import ScriptCall

START_MS = 1_700_000_000_000
RECENT_MAX = 3
"""The last calls, which a step may repeat."""


class Steps:
    """Steps on all `sides`, by callers whose clocks differ by `skew_ms`. A subclass has a method for each kind."""

    def __init__(self, sides: Sequence[Side], skew_ms: int = 0) -> None:
        self._sides = sides
        self._skew_ms = skew_ms
        self._now_ms = START_MS
        self._chance = random.Random(0)
        self._serial = 0
        self._recent: list[ScriptCall] = []
        self.reached: Counter[str] = Counter()
        """How often each script returned each word, or data."""
        for side in sides:
            side.clear()

    def step(self, kind: str, number: int) -> None:
        """Execute one step. Raises AssertionError when stores differ or an expectation fails."""
        self._chance = random.Random(f"{kind} {number}")
        getattr(self, f"_{kind}")()
        self.check()

    def check(self) -> None:
        """Assert that all sides have the expected state."""
        raise NotImplementedError

    def _call(self, *flush: ScriptCall) -> list[list[str]]:
        """Run one flush on every side and check the answers."""
        raise NotImplementedError

    def _remember(self, flush: Sequence[ScriptCall]) -> None:
        self._recent = [*self._recent, *flush][-RECENT_MAX:]

    def _repeat(self) -> None:
        """The answers of the last flush were lost: its calls are repeated in order."""
        self._call(*self._recent[-self._chance.randrange(1, RECENT_MAX + 1) :])

    def _lose_scripts(self) -> None:
        for side in self._sides:
            side.lose_scripts()
