"""Five times as many jobs as the nodes can do, at the default settings: which are rejected, is Retry-After right?

Some rejected submits are repeated with their request ids: punctual ones at the given time, hasty ones at half of it.
`python -m tests.e2e.five_fold SECONDS` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter

from tests.e2e.open_load import ComeAgain, OpenLoad, main, node_of
from tests.e2e.processes import Scheduler
from voxpool.scheduler.protocol.field_types import Times

SLOTS = 10
SERVICE_S = 0.5
CAPACITY_PER_S = SLOTS / SERVICE_S
OVERLOAD = 5.0
RECORD_BYTES = 1023
"""Allocated bytes of a finished job, as `make leak-measured` measures them; retained jobs are no growth by rejections.
"""
GROWTH_BYTES_MAX = 1024 * 1024
"""A leak of 100 bytes a rejection is 1.2 MB from the second to the last quarter of five minutes."""
FLAGS = ("--no-node-grace-s", "10")
FRESH, PUNCTUAL, HASTY = "fresh", "punctual", "hasty"
KINDS = (PUNCTUAL, HASTY, *[FRESH] * 8)
"""Kinds of rejected submits, in turn: one in ten is punctual, one hasty, the others are not repeated."""


class FiveFold(OpenLoad):
    """The results: the first answer to each submit, and the second answer to repeated ones.

    The allocated bytes exclude the records of ended jobs, which are retained.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.first: Counter[str] = Counter()
        self.again: dict[str, Counter[str]] = {PUNCTUAL: Counter(), HASTY: Counter()}
        """Kind -> accepted, or the reason."""
        self.states: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.given_ms: list[int] = []
        self.without_retry = 0
        self.waited_s: list[float] = []
        self._kinds: dict[str, str] = {}
        """Request id of a repeated submit -> its kind."""

    @property
    def accepted(self) -> int:
        """All accepted jobs, at the first or the second submit."""
        return self.first["accepted"] + sum(each["accepted"] for each in self.again.values())

    @property
    def completed_share(self) -> float:
        """The share of the accepted jobs that completed."""
        return self.states["completed"] / max(1, self.accepted)

    def accepted_share(self, kind: str) -> float:
        """The share of the submits of that kind that were accepted when they were repeated."""
        return self.again[kind]["accepted"] / max(1, sum(self.again[kind].values()))

    def __str__(self) -> str:
        given = sorted(self.given_ms) or [0]
        lines = (
            f"{sum(self.first.values())} submits in {self.seconds:g} s, {OVERLOAD:g} x capacity, half over HTTP; "
            f"the last one came {1000 * self.behind_s:.0f} ms late",
            f"first answers {dict(self.first)}; {100 * self.completed_share:.2f} % of {self.accepted} completed; "
            f"failures: {dict(self.errors)}; refused without a time to retry: {self.without_retry}",
            f"waits of these: p50 {statistics.median(self.waited_s):.2f} s, greatest {max(self.waited_s):.2f} s",
            f"times to retry: p50 {given[len(given) // 2]} ms, p99 {given[int(0.99 * len(given))]} ms",
            f"accepted of those that came again at the time given {100 * self.accepted_share(PUNCTUAL):.1f} % of "
            f"{sum(self.again[PUNCTUAL].values())}, at half of it {100 * self.accepted_share(HASTY):.1f} % of "
            f"{sum(self.again[HASTY].values())}",
            f"allocated bytes, less {RECORD_BYTES} for each job that has ended, from the second to the last quarter: "
            f"{self.growth_bytes:+,.0f}",
        )
        return "\n".join(lines)

    def on_sample(self, allocated_bytes: int) -> None:
        super().on_sample(allocated_bytes - RECORD_BYTES * sum(self.states.values()))

    def on_accepted(self, request_id: str) -> None:
        self._note(self._kinds.pop(request_id, FRESH), "accepted")

    def on_ended(self, state: str, error: str | None, times_ms: Times) -> None:
        self.states[state] += 1
        if state == "completed":
            self.waited_s.append(times_ms.waiting / 1000)
        else:
            self.errors[error or state] += 1

    def on_refused(self, request_id: str, reason: str, retry_after_ms: int | None, again: ComeAgain) -> None:
        """Count a rejection; some of the first ones are repeated."""
        kind = self._kinds.pop(request_id, FRESH)
        self._note(kind, reason)
        if not retry_after_ms:
            self.without_retry += 1
        elif kind == FRESH:
            new_kind = KINDS[len(self.given_ms) % len(KINDS)]
            self.given_ms.append(retry_after_ms)
            if new_kind != FRESH:
                self._kinds[request_id] = new_kind
                pause_s = retry_after_ms / 1000 / (1 if new_kind == PUNCTUAL else 2)
                self.tasks.create_task(_after(pause_s, again))

    def _note(self, kind: str, answer: str) -> None:
        (self.first if kind == FRESH else self.again[kind])[answer] += 1


async def five_fold(scheduler: Scheduler, seconds: float) -> FiveFold:
    """Submit at random times, half over HTTP, half over WebSockets; return when every accepted job has ended."""
    report = FiveFold(seconds)
    async with node_of(scheduler, SLOTS, SERVICE_S):
        await report.submit_all(scheduler, OVERLOAD * CAPACITY_PER_S)
    return report


async def _after(seconds: float, again: ComeAgain) -> None:
    await asyncio.sleep(seconds)
    await again()


if __name__ == "__main__":
    main(five_fold, *FLAGS)
