"""What a checker is: a watcher with a sentence for a name that counts how often the sentence was not true."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from voxpool.sim.observing.watch import Watcher

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

EXAMPLES_MAX = 5


class Checker(Watcher):
    """Base of all. A checker works at every step; now and then, and at the end, a full recount must agree with it.

    `sentence` is what must be true; `broken` counts how often it wasn't, `examples` tells of the first cases.
    `not_checked` says why a part of it could not be checked in this run ('' = all was): such a checker has not passed.
    """

    sentence: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world
        self.env = world.env
        self.broken = 0
        self.not_checked = ""
        self.examples: list[str] = []
        self.first_s: float | None = None
        """When it was broken first."""

    def __repr__(self) -> str:
        if self.broken:
            return f"<{self.sentence}: broken {self.broken} times>"
        return f"<{self.sentence}: {f'not checked: {self.not_checked}' if self.not_checked else 'holds'}>"

    def expect(self, is_true: bool, otherwise: str) -> None:
        """Count the sentence as broken unless `is_true`; `otherwise` says what was seen."""
        if not is_true:
            self.broke(otherwise)

    def broke(self, what: str) -> None:
        """Count the sentence as broken."""
        self.broken += 1
        if self.first_s is None:
            self.first_s = self.env.now
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"at {self.env.now:.3f} s: {what}")

    def recount(self) -> None:
        """Compare with a full look at table, nodes and store; called when nothing is under way."""

    def at_end(self) -> None:
        """Look at what is left when every job has ended, nothing is broken and all retention is over."""
