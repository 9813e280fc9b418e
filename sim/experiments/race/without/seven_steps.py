"""R1 as it was first counted: the four steps of a redispatch and the three of a node going offline, and nothing else.

Redispatch: read the job, draw a node from the pool, write the assignment, send it. Offline of another node: its
connection goes, it leaves the pools, its key goes. One node is dying and one living; there are 20 draws.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from voxpool.sim.explore.model.execution import WRITE, Footprint, Step

DRAWS = 20
REDISPATCH = ("read", "draw", "write", "send")
OFFLINE = ("connection goes", "leaves the pools", "key goes")
DYING, LIVING = "dying", "living"


class SevenSteps:
    """One run: any step of either part may be next. The draws are 20 steps that are open at once."""

    def __init__(self) -> None:
        self._redispatched = 0
        self._gone = 0
        self._drawn = ""
        self._end = ""

    def open_steps(self) -> Sequence[Step]:
        """Return the next step of each part."""
        steps: list[Step] = []
        if self._redispatched < len(REDISPATCH):
            name = REDISPATCH[self._redispatched]
            labels = [f"draw {number}" for number in range(DRAWS)] if name == "draw" else [name]
            steps += [Step(label, "redispatch") for label in labels]
        if self._gone < len(OFFLINE):
            steps.append(Step(OFFLINE[self._gone], "offline"))
        return steps

    def take(self, step: Step) -> Footprint:
        """Take it; every step is taken to depend on every other."""
        if step.chain == "offline":
            self._gone += 1
        else:
            self._redispatched += 1
            if step.label.startswith("draw "):
                pool = [LIVING] if self._gone >= 2 else [DYING, LIVING]
                self._drawn = pool[int(step.label.removeprefix("draw ")) % len(pool)]
            elif step.label == "write" and self._drawn == DYING and self._gone >= 3:
                self._end = "parked"
            elif step.label == "send" and not self._end:
                self._end = self._sent()
        return frozenset({(WRITE, "all")})

    def _sent(self) -> str:
        if self._drawn == LIVING:
            return "fine"
        return "failed" if self._gone >= 1 else "timed_out"

    def end(self) -> Hashable:
        """Return which of the four outcomes it was."""
        return self._end

    def broken(self) -> list[str]:
        """Return nothing: the outcomes are what is looked at."""
        return []

    def close(self) -> None:
        """Nothing is open."""
