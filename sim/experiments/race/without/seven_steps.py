"""R1 as it was first counted: only the four steps of a redispatch and the three of a node going offline.

Redispatch: read the job, draw a node from the pool, write the assignment, send it. Offline of another node: its
connection closes, it leaves the pools, its key is removed. One node is dying and one is alive; there are 20 draws.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from voxpool.sim.explore.model.execution import WRITE, Footprint, Step

DRAWS = 20
REDISPATCH = ("read", "draw", "write", "send")
OFFLINE = ("connection goes", "leaves the pools", "key goes")
DYING, LIVING = "dying", "living"


class SevenSteps:
    """One run: any step of either part can be next. The draws are 20 alternatives of one step."""

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
        """Take the step; all steps are treated as dependent."""
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
        """Return the outcome, one of four."""
        return self._end

    def broken(self) -> list[str]:
        """Return an empty list: only the outcomes are evaluated."""
        return []

    def close(self) -> None:
        """Do nothing: no resource is open."""
