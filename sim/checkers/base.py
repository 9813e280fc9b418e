"""The base of checkers: a watcher that counts violations of the sentence that it is named by."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from voxpool.sim.observing.watch import Watcher

if TYPE_CHECKING:
    from voxpool.sim.world.world import World

EXAMPLES_MAX = 5


class Checker(Watcher):
    """Base of all checkers. A checker checks every step; a full recount checks it periodically and at the end.

    `sentence` is the invariant; `broken` counts its violations, `examples` has the first ones. `not_checked` is the
    reason why a part could not be checked in this run ('' = all was checked): such a checker has not passed.
    """

    sentence: ClassVar[str]
    order: ClassVar[str] = ""
    """The setting `order` without which it has nothing to watch; '' = any."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.env = world.env
        self.broken = 0
        self.not_checked = ""
        self.examples: list[str] = []
        self.first_s: float | None = None
        """Time of the first violation."""

    def __repr__(self) -> str:
        if self.broken:
            return f"<{self.sentence}: broken {self.broken} times>"
        return f"<{self.sentence}: {f'not checked: {self.not_checked}' if self.not_checked else 'holds'}>"

    def expect(self, is_true: bool, otherwise: str) -> None:
        """Count a violation unless `is_true`; `otherwise` describes it."""
        if not is_true:
            self.broke(otherwise)

    def broke(self, what: str) -> None:
        """Count a violation."""
        self.broken += 1
        if self.first_s is None:
            self.first_s = self.env.now
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"at {self.env.now:.3f} s: {what}")

    def recount(self) -> None:
        """Compare with the full content of table, nodes and store; called when no calls are in transit."""

    def at_end(self) -> None:
        """Check the remaining state after all jobs have ended, all faults are healed and all retention has passed."""
