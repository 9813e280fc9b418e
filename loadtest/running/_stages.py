"""The stages of a load run in one process, and their allowed transitions. Pure: waiting is in other modules."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class Stage(Enum):
    """The stage of a process's test."""

    IDLE = "idle"
    """No test has begun in this process."""
    STARTING = "starting"
    """The parts start; no user is spawned."""
    RUNNING = "running"
    """Users are spawned and jobs are sent."""
    CLOSING = "closing"
    """No new jobs are sent, sent ones may end, then users stop."""
    CONCLUDING = "concluding"
    """The users have stopped: parts stop, and the deciding process writes the verdict."""
    DONE = "done"
    """There is a verdict, and the process may quit; on a page another test may start."""


FOLLOWING: Mapping[Stage, frozenset[Stage]] = MappingProxyType(
    {
        Stage.IDLE: frozenset({Stage.STARTING, Stage.CONCLUDING}),
        Stage.STARTING: frozenset({Stage.RUNNING}),
        Stage.RUNNING: frozenset({Stage.CLOSING}),
        Stage.CLOSING: frozenset({Stage.CONCLUDING}),
        Stage.CONCLUDING: frozenset({Stage.DONE}),
        Stage.DONE: frozenset({Stage.STARTING, Stage.CONCLUDING}),
    }
)
"""Stage -> possible next stages. A refused test, or one whose process ends before it, goes from idle or done directly
to concluding, because it has a report, too."""


class IllegalStage(RuntimeError):
    """A transition that is not allowed: a bug of voxpool."""


class Progress:
    """The stage of one process; it changes by `enter` only."""

    def __init__(self) -> None:
        self.stage = Stage.IDLE

    def __repr__(self) -> str:
        return f"<Progress {self.stage.value}>"

    def enter(self, stage: Stage) -> None:
        """Change to `stage`. Raises IllegalStage, without a change, when that is not allowed."""
        if stage not in FOLLOWING[self.stage]:
            raise IllegalStage(f"a load run can't go from {self.stage.value} to {stage.value}")
        self.stage = stage

    @property
    def is_under_way(self) -> bool:
        """True when a test has started and has no verdict yet."""
        return self.stage not in (Stage.IDLE, Stage.DONE)
