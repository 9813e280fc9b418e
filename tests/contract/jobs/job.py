"""The record of a job as the store must have it."""

from __future__ import annotations

from dataclasses import dataclass

WAITS, RESTS, RUNS = "w", "b", "t"
FINAL = "cfxg"
OUTCOME_MAX = 1000


@dataclass
class Job:
    """A record."""

    state: str
    pair: str
    place: int
    client: str
    attempt: int
    first: int
    attempts_max: int
    expires: int
    bytes: int
    content: str
    since: int
    meta: str
    by: str = ""
    lost: int = 0
    outcome: str = ""
    until: str = ""
    """When its wait is over, ms; "" once it has ended."""
    prefer: str = ""
    due: int = 0
    """When it stops to wait or to rest; 0 = somebody has it, or it has ended."""

    @property
    def text(self) -> str:
        """The record as the store has it."""
        numbers = (self.attempt, self.first, self.lost, self.attempts_max, self.expires, self.until, self.bytes)
        head = (self.state, self.pair, self.place, self.client, self.by, *numbers)
        return "|".join(map(str, (*head, self.content, self.since, self.prefer, self.meta, self.outcome)))
