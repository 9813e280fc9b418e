"""The record of a job as the store must have it."""

from __future__ import annotations

from dataclasses import dataclass

NEW, WAITS, RESTS, RUNS = "", "w", "b", "t"
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
    turn: str = ""
    """priority.cost.key; "" = the order of the submits."""
    due: int = 0
    """When it stops to wait or to rest; 0 = somebody has it, or it has ended."""

    @property
    def text(self) -> str:
        """The record as the store has it."""
        head = (
            self.state,
            self.by,
            self.attempt,
            self.client,
            self.lost,
            self.bytes,
            self.until,
            self.prefer,
            self.since,
        )
        rest = (self.pair, f"{self.place:016d}", self.first, self.expires, self.attempts_max, self.content, self.turn)
        return "|".join(map(str, (*head, *rest, self.meta, self.outcome)))

    @property
    def came_back(self) -> bool:
        """Whether it has had its turn."""
        return self.attempt > self.first

    @property
    def key(self) -> str:
        """Whose job it is when the order is fair; "" when nobody's jobs are counted."""
        return self.turn.split(".", 2)[2].strip("*") if self.turn else ""

    @property
    def flow(self) -> tuple[str, str, str]:
        """Pair, priority and key among which it waits; the key is "" when it came back."""
        priority, _, key = self.turn.split(".", 2)
        return self.pair, priority, "" if self.came_back else key

    @property
    def line(self) -> str:
        """What its entry among the waiting jobs begins with."""
        return "|".join(self.flow) if self.turn else self.pair
