"""The stages of a load run in one process, and how one follows another. Pure: who waits, and for what, is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class Stage(Enum):
    """What a process is doing with its test."""

    IDLE = "idle"
    """No test has begun in this process."""
    STARTING = "starting"
    """The parts start; there is no user yet."""
    RUNNING = "running"
    """Users are spawned and jobs are sent."""
    CLOSING = "closing"
    """Nothing new is sent, what was sent may end, then users go."""
    CONCLUDING = "concluding"
    """The users are gone: parts stop, and the verdict is written where it is decided."""
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
"""Stage -> those that may come next. From idle and done straight to concluding goes a test that was refused, or whose
process was told to end before it began: that, too, has a report."""


class IllegalStage(RuntimeError):
    """A stage was to follow another one that it can't follow: a bug of ours."""


class Progress:
    """The stage of one process; it changes by `enter` only."""

    def __init__(self) -> None:
        self.stage = Stage.IDLE

    def __repr__(self) -> str:
        return f"<Progress {self.stage.value}>"

    def enter(self, stage: Stage) -> None:
        """Go on to `stage`. Raises IllegalStage, and stays, when it can't follow."""
        if stage not in FOLLOWING[self.stage]:
            raise IllegalStage(f"a load run can't go from {self.stage.value} to {stage.value}")
        self.stage = stage

    @property
    def is_under_way(self) -> bool:
        """True when a test has started and has no verdict yet."""
        return self.stage not in (Stage.IDLE, Stage.DONE)
