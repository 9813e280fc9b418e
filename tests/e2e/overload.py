"""A scheduler at a multiple of its capacity: which jobs are accepted and rejected, how long the accepted ones take.

`python -m tests.e2e.overload SECONDS` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from tests.e2e.open_load import ComeAgain, OpenLoad, main, node_of
from tests.e2e.processes import Scheduler, until
from voxpool.scheduler.protocol.field_types import Times

OVERLOAD = 3.0
GROWTH_BYTES_MAX = 512 * 1024
"""Less growth than this counts as flat.

One connection is 20 kB, and HTTP clients open and close some. A leak of 100 bytes a submit would be 900 kB from the
second to the last quarter of a minute.
"""
ROUNDED_S = 0.002
"""Tolerance of a time that is a sum of others, all rounded to ms."""


@dataclass(frozen=True)
class Shape:
    """A node, and the queue in front of it."""

    slots: int = 10
    service_s: float = 0.1
    waiting_max: int = 100

    @property
    def capacity_per_s(self) -> float:
        """Jobs a second that the node can do."""
        return self.slots / self.service_s

    @property
    def ahead_max(self) -> int:
        """Maximum number of jobs before an accepted one: waiting jobs, and one a free slot that is with the store."""
        return self.waiting_max + self.slots

    @property
    def flags(self) -> tuple[str, ...]:
        """Options of the scheduler."""
        return (
            *("--waiting-max", str(self.waiting_max), "--waiting-timeout-s", "60"),
            *("--retention-s", "1", "--cleanup-interval-s", "0.5", "--log-level", "debug"),
        )


FULL = Shape()


class Overload(OpenLoad):
    """The results. Times in s, as measured by the scheduler."""

    def __init__(self, shape: Shape, seconds: float) -> None:
        super().__init__(seconds)
        self.shape = shape
        self.accepted = 0
        self.states: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.without_retry = 0
        self.took_s: list[float] = []
        self.worked_s: list[float] = []
        self.ahead: list[int] = []
        """For each accepted job: the number of others sent to a node while it waited."""
        self.bounds_s: list[float] = []
        """For each accepted job: the time until `ahead_max` jobs and itself were sent to a node, plus its service."""
        self.served_s = 0.0
        """Time from the first submit to the last result."""

    @property
    def served_per_s(self) -> float:
        """Jobs that ended in each second."""
        return len(self.took_s) / self.served_s

    @property
    def p99_s(self) -> float:
        """p99 of the accepted jobs, from the submit to the end."""
        return sorted(self.took_s)[int(0.99 * len(self.took_s))]

    @property
    def predicted_s(self) -> float:
        """The p99 that the bound on the queue predicts: the p99 of the bounds of the single jobs."""
        return sorted(self.bounds_s)[int(0.99 * len(self.bounds_s))]

    @property
    def mean_rate_s(self) -> float:
        """A rough estimate of the same: the bound at the mean rate, plus the mean service."""
        return self.shape.ahead_max / self.served_per_s + statistics.mean(self.worked_s)

    def __str__(self) -> str:
        refused = ", ".join(f"{count} {reason}" for reason, count in self.refused.items())
        lines = (
            f"{self.accepted + sum(self.refused.values())} submits in {self.seconds:g} s, {OVERLOAD:g} x capacity, "
            f"half of them over HTTP; the last one came {1000 * self.behind_s:.0f} ms late",
            f"{self.accepted} accepted, of which ended: {dict(self.states)}; refused: {refused}; "
            f"refused without a time to retry: {self.without_retry}",
            f"jobs before an accepted one: at most {max(self.ahead)}, bound {self.shape.ahead_max}",
            f"submit to end of the accepted ones: p50 {statistics.median(self.took_s):.3f} s, p99 {self.p99_s:.3f} s, "
            f"greatest {max(self.took_s):.3f} s",
            f"predicted for the p99: {self.predicted_s:.3f} s; at the mean rate of {self.served_per_s:.1f} jobs/s "
            f"{self.mean_rate_s:.3f} s",
            f"allocated bytes of the scheduler {statistics.median(self.allocated_bytes):,.0f}; from the second to the "
            f"last quarter {self.growth_bytes:+,.0f}, which is flat below {GROWTH_BYTES_MAX:,}",
        )
        return "\n".join(lines)

    def on_accepted(self, request_id: str) -> None:
        self.accepted += 1

    def on_ended(self, state: str, error: str | None, times_ms: Times) -> None:
        self.states[state] += 1
        self.took_s.append(times_ms.total / 1000)
        self.worked_s.append(times_ms.dispatched / 1000)

    def on_refused(self, request_id: str, reason: str, retry_after_ms: int | None, again: ComeAgain) -> None:
        self.refused[reason] += 1
        self.without_retry += not retry_after_ms


async def overload(scheduler: Scheduler, seconds: float, shape: Shape = FULL) -> Overload:
    """Submit at random times, half over HTTP, half over WebSockets; return when every accepted job has ended."""
    report = Overload(shape, seconds)
    async with node_of(scheduler, shape.slots, shape.service_s):
        report.served_s = await report.submit_all(scheduler, OVERLOAD * shape.capacity_per_s)
    await until(lambda: len(scheduler.events("job_ended")) >= report.accepted)  # the log is written a little later
    _foresee(scheduler, report)
    return report


def _foresee(scheduler: Scheduler, report: Overload) -> None:
    """Read from the scheduler's log how many jobs were before each accepted one, and compute the bound on its time.

    A job with at most `ahead_max` jobs before it is sent to a node no later than the job number `ahead_max` + 1 that is
    sent from its submit on; when fewer are sent, no later than the last one.
    """
    submitted: dict[str, tuple[datetime, int]] = {}
    dispatched: dict[str, datetime] = {}
    sent: list[datetime] = []
    served: list[tuple[datetime, int, float]] = []
    for event in scheduler.events():
        if event["event"] not in ("job_submitted", "job_dispatched", "job_ended"):
            continue
        job_id, at = event["job_id"], datetime.fromisoformat(event["ts"])
        if event["event"] == "job_submitted":
            submitted[job_id] = (at, len(sent))
        elif event["event"] == "job_dispatched":
            report.ahead.append(len(sent) - submitted[job_id][1])
            dispatched[job_id] = at
            sent.append(at)
        else:
            served.append((*submitted[job_id], (at - dispatched[job_id]).total_seconds()))
    for began, number, served_s in served:
        latest = sent[min(number + report.shape.ahead_max, len(sent) - 1)]
        report.bounds_s.append((latest - began).total_seconds() + served_s)


if __name__ == "__main__":
    main(overload, *FULL.flags)
