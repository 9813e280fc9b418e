"""A scheduler at a multiple of its capacity: who is accepted, who is refused, how long the accepted ones take.

`python -m tests.e2e.overload SECONDS` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.open_load import (
    AUDIO,
    PAIR,
    SOCKETS,
    SubmitSocket,
    http_of,
    node_of,
    retry_after_ms,
    sample_memory,
    submit_at_random,
)
from tests.e2e.processes import Scheduler, until
from voxpool.scheduler.protocol.messages import Accepted, JobResult, RejectedSubmit

SLOTS = 10
SERVICE_S = 0.1
WAITING_MAX = 100
OVERLOAD = 3.0
RATE_PER_S = OVERLOAD * SLOTS / SERVICE_S
AHEAD_MAX = WAITING_MAX + SLOTS
"""Jobs before an accepted one: those that wait, and those that are with the store at that moment, one a free slot."""
GROWTH_BYTES_MAX = 512 * 1024
"""Less than this is flat: a connection more or less is 20 kB, and HTTP clients open some and close some; a leak of 100
bytes a submit would be 900 kB from the second to the last quarter of a minute."""
ROUNDED_S = 0.002
"""By which a time may be longer than one that is made of others, all told in whole ms."""
FLAGS = (
    *("--waiting-max", str(WAITING_MAX), "--waiting-timeout-s", "60"),
    *("--retention-s", "1", "--cleanup-interval-s", "0.5"),
)


@dataclass
class Overload:
    """What came of it. Times in s, as the scheduler measured them; the memory in bytes, of each half second."""

    seconds: float
    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    without_retry: int = 0
    took_s: list[float] = field(default_factory=list)
    worked_s: list[float] = field(default_factory=list)
    allocated_bytes: list[int] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)
    """Of each accepted job: how many others were sent to a node while it waited."""
    bounds_s: list[float] = field(default_factory=list)
    """Of each accepted job: how long AHEAD_MAX jobs and itself took to be sent to a node, then its own service."""
    served_s: float = 0.0
    """From the first submit to the last result."""
    behind_s: float = 0.0
    """By how much the last submit was late: the load is only as large as it should be while this is small."""

    @property
    def served_per_s(self) -> float:
        """Jobs that ended in each second."""
        return len(self.took_s) / self.served_s

    @property
    def p99_s(self) -> float:
        """Of the accepted jobs, from the submit to the end."""
        return sorted(self.took_s)[int(0.99 * len(self.took_s))]

    @property
    def predicted_s(self) -> float:
        """What the bound on the queue predicts for the p99: that of the bounds of the single jobs."""
        return sorted(self.bounds_s)[int(0.99 * len(self.bounds_s))]

    @property
    def mean_rate_s(self) -> float:
        """The same on the back of an envelope: the bound at the mean rate, then the mean service."""
        return AHEAD_MAX / self.served_per_s + statistics.mean(self.worked_s)

    @property
    def growth_bytes(self) -> float:
        """Median allocated bytes in the last quarter less that in the second one; the first one fills the tables."""
        quarter = len(self.allocated_bytes) // 4
        return statistics.median(self.allocated_bytes[-quarter:]) - statistics.median(
            self.allocated_bytes[quarter : 2 * quarter]
        )

    def __str__(self) -> str:
        refused = ", ".join(f"{count} {reason}" for reason, count in self.refused.items())
        lines = (
            f"{self.accepted + sum(self.refused.values())} submits in {self.seconds:g} s, {OVERLOAD:g} x capacity, "
            f"half of them over HTTP; the last one came {1000 * self.behind_s:.0f} ms late",
            f"{self.accepted} accepted, of which ended: {dict(self.states)}; refused: {refused}; "
            f"refused without a time to retry: {self.without_retry}",
            f"jobs before an accepted one: at most {max(self.ahead)}, bound {AHEAD_MAX}",
            f"submit to end of the accepted ones: p50 {statistics.median(self.took_s):.3f} s, p99 {self.p99_s:.3f} s, "
            f"greatest {max(self.took_s):.3f} s",
            f"predicted for the p99: {self.predicted_s:.3f} s; at the mean rate of {self.served_per_s:.1f} jobs/s "
            f"{self.mean_rate_s:.3f} s",
            f"allocated bytes of the scheduler {statistics.median(self.allocated_bytes):,.0f}; from the second to the "
            f"last quarter {self.growth_bytes:+,.0f}, which is flat below {GROWTH_BYTES_MAX:,}",
        )
        return "\n".join(lines)

    def ended(self, state: str, times_ms: Any) -> None:
        """An accepted job has ended."""
        self.states[state] += 1
        self.took_s.append(times_ms.total / 1000)
        self.worked_s.append(times_ms.dispatched / 1000)

    def late(self, seconds: float) -> None:
        """A submit came so much later than it should."""
        self.behind_s = seconds

    def answered(self, _socket: SubmitSocket, message: Accepted | JobResult | RejectedSubmit) -> None:
        """An answer has come by a WebSocket."""
        if isinstance(message, Accepted):
            self.accepted += 1
        elif isinstance(message, JobResult):
            self.ended(message.state, message.times_ms)
        else:
            self.rejected(message.reason, message.retry_after_ms)

    def rejected(self, reason: str, retry_after_ms: int | None) -> None:
        """A submit was refused."""
        self.refused[reason] += 1
        self.without_retry += not retry_after_ms


async def overload(scheduler: Scheduler, seconds: float) -> Overload:
    """Submit at random times, half over HTTP, half over WebSockets; return when every accepted job has ended."""
    async with node_of(scheduler, SLOTS, SERVICE_S):
        report = await _load(scheduler, seconds)
    await until(lambda: len(scheduler.events("job_ended")) >= report.accepted)  # the log is written a little later
    _foresee(scheduler, report)
    return report


async def _load(scheduler: Scheduler, seconds: float) -> Overload:
    report = Overload(seconds)
    async with http_of(scheduler) as http, asyncio.TaskGroup() as tasks:
        sockets = [SubmitSocket(report.answered) for _ in range(SOCKETS)]
        running = [tasks.create_task(socket.run(scheduler)) for socket in sockets]
        await asyncio.gather(*(socket.open.wait() for socket in sockets))
        running.append(tasks.create_task(sample_memory(http, report.allocated_bytes.append)))
        posts: list[asyncio.Task[None]] = []

        async def submit(number: int) -> None:
            if number % 2:
                posts.append(tasks.create_task(_post(http, report)))
            else:
                await sockets[number % SOCKETS].submit(f"r-{number}")

        began_s = await submit_at_random(RATE_PER_S, seconds, submit, report.late)
        await asyncio.gather(*posts)
        await until(lambda: not any(socket.unanswered for socket in sockets), 60)
        report.served_s = time.monotonic() - began_s
        for task in running:
            task.cancel()
    return report


async def _post(http: httpx.AsyncClient, report: Overload) -> None:
    response = await http.post("/v1/jobs", params={"pair": PAIR, "wait_s": "60"}, content=AUDIO)
    body = response.json()
    if response.status_code in (429, 503):
        report.rejected(body["reason"], retry_after_ms(response))
    else:
        assert response.status_code == 200, body
        report.accepted += 1
        report.ended(body["state"], _Times(**body["times_ms"]))


@dataclass
class _Times:
    waiting: int
    dispatched: int
    total: int


def _foresee(scheduler: Scheduler, report: Overload) -> None:
    """Note the jobs before each accepted one, and the bound on its time, as the scheduler's log tells them.

    When AHEAD_MAX jobs at most are before a job, it is sent to a node no later than the job that is sent as number
    AHEAD_MAX + 1 from its submit on; when so many don't come any more, no later than the last one.
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
        latest = sent[min(number + AHEAD_MAX, len(sent) - 1)]
        report.bounds_s.append((latest - began).total_seconds() + served_s)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        measured = Scheduler(Path(place), "embedded", *FLAGS)
        try:
            print(asyncio.run(overload(measured, float(sys.argv[1]))))
        finally:
            measured.stop()
