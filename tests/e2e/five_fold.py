"""Five times as many jobs as the nodes can do, at the default settings: who is refused, and is the time given right?

Some of the refused submits come again under their request ids: the punctual ones at the time that they were given, the
hasty ones at half of it. `python -m tests.e2e.five_fold SECONDS` prints the figures of docs/reports/service.md.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
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
SERVICE_S = 0.5
CAPACITY_PER_S = SLOTS / SERVICE_S
OVERLOAD = 5.0
RECORD_BYTES = 1023
"""Allocated bytes of a finished job, as `make leak-measured` measures them; retained jobs are no growth by refusals."""
GROWTH_BYTES_MAX = 1024 * 1024
"""A leak of 100 bytes a refusal is 1.2 MB from the second to the last quarter of five minutes."""
FRESH, PUNCTUAL, HASTY = "fresh", "punctual", "hasty"
KINDS = (PUNCTUAL, HASTY, *[FRESH] * 8)
"""What the refused submits do, in turn: one of ten is punctual, one hasty, the rest never come again."""


@dataclass
class FiveFold:
    """What came of it: the first answer to each submit, and the second one to those that came again."""

    seconds: float
    first: Counter[str] = field(default_factory=Counter)
    again: dict[str, Counter[str]] = field(default_factory=lambda: {PUNCTUAL: Counter(), HASTY: Counter()})
    """Kind -> accepted, or the reason."""
    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    given_ms: list[int] = field(default_factory=list)
    without_retry: int = 0
    waited_s: list[float] = field(default_factory=list)
    allocated_bytes: list[float] = field(default_factory=list)
    """Without the records of the jobs that have ended, which are retained."""
    behind_s: float = 0.0
    """By how much the last submit was late: the load is only as large as it should be while this is small."""

    @property
    def accepted(self) -> int:
        """All jobs that were accepted, at once or when they came again."""
        return self.first["accepted"] + sum(each["accepted"] for each in self.again.values())

    @property
    def completed_share(self) -> float:
        """The share of the accepted jobs that completed."""
        return self.states["completed"] / max(1, self.accepted)

    def accepted_share(self, kind: str) -> float:
        """The share of the submits of that kind that were accepted when they came again."""
        return self.again[kind]["accepted"] / max(1, sum(self.again[kind].values()))

    @property
    def growth_bytes(self) -> float:
        """Median allocated bytes in the last quarter less that in the second one; the first one fills the tables."""
        quarter = len(self.allocated_bytes) // 4
        return statistics.median(self.allocated_bytes[-quarter:]) - statistics.median(
            self.allocated_bytes[quarter : 2 * quarter]
        )

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

    def ended(self, state: str, error: str | None, waiting_ms: int) -> None:
        """An accepted job has ended."""
        self.states[state] += 1
        if state == "completed":
            self.waited_s.append(waiting_ms / 1000)
        else:
            self.errors[error or state] += 1

    def late(self, seconds: float) -> None:
        """A submit came so much later than it should."""
        self.behind_s = seconds

    def sampled(self, allocated_bytes: int) -> None:
        """The scheduler has so many bytes allocated now."""
        self.allocated_bytes.append(allocated_bytes - RECORD_BYTES * sum(self.states.values()))

    def answered(self, kind: str, word: str) -> None:
        """A submit, first or again, was accepted or refused."""
        (self.first if kind == FRESH else self.again[kind])[word] += 1


class _Load:
    """The clients of one run."""

    def __init__(self, report: FiveFold, http: httpx.AsyncClient, tasks: asyncio.TaskGroup) -> None:
        self.report = report
        self.tasks = tasks
        self._http = http
        self._refused = 0
        self._kinds: dict[str, str] = {}

    def refused(self, kind: str, reason: str, retry_after_ms: int | None, come_again: Any) -> None:
        """Note a refusal; a first one may come again, by calling `come_again` with its new kind."""
        self.report.answered(kind, reason)
        if not retry_after_ms:
            self.report.without_retry += 1
        elif kind == FRESH:
            self.report.given_ms.append(retry_after_ms)
            new_kind = KINDS[self._refused % len(KINDS)]
            self._refused += 1
            if new_kind != FRESH:
                pause_s = retry_after_ms / 1000 / (1 if new_kind == PUNCTUAL else 2)
                self.tasks.create_task(_after(pause_s, come_again, new_kind))

    async def post(self, request_id: str, kind: str = FRESH) -> None:
        """Submit over HTTP and wait for the end."""
        parameters, headers = {"pair": PAIR, "wait_s": "60"}, {"idempotency-key": request_id}
        response = await self._http.post("/v1/jobs", params=parameters, headers=headers, content=AUDIO)
        body = response.json()
        if response.status_code in (429, 503):
            again = partial(self.post, request_id)
            self.refused(kind, body["reason"], retry_after_ms(response), again)
        else:
            assert response.status_code == 200, body
            self.report.answered(kind, "accepted")
            self.report.ended(body["state"], body.get("error"), body["times_ms"]["waiting"])

    async def submit(self, socket: SubmitSocket, request_id: str, kind: str = FRESH) -> None:
        """Submit over a WebSocket."""
        self._kinds[request_id] = kind
        await socket.submit(request_id)

    def answered(self, socket: SubmitSocket, message: Accepted | JobResult | RejectedSubmit) -> None:
        """An answer has come by a WebSocket."""
        if isinstance(message, JobResult):
            self.report.ended(message.state, message.error, message.times_ms.waiting)
            return
        kind = self._kinds.pop(message.request_id)
        if isinstance(message, Accepted):
            self.report.answered(kind, "accepted")
        else:
            again = partial(self.submit, socket, message.request_id)
            self.refused(kind, message.reason, message.retry_after_ms, again)


async def five_fold(scheduler: Scheduler, seconds: float) -> FiveFold:
    """Submit at random times, half over HTTP, half over WebSockets; return when every accepted job has ended."""
    async with node_of(scheduler, SLOTS, SERVICE_S):
        return await _load(scheduler, seconds)


async def _load(scheduler: Scheduler, seconds: float) -> FiveFold:
    report = FiveFold(seconds)
    async with http_of(scheduler) as http, asyncio.TaskGroup() as reading:
        async with asyncio.TaskGroup() as tasks:
            load = _Load(report, http, tasks)
            sockets = [SubmitSocket(load.answered) for _ in range(SOCKETS)]
            readers = [reading.create_task(socket.run(scheduler)) for socket in sockets]
            await asyncio.gather(*(socket.open.wait() for socket in sockets))
            readers.append(reading.create_task(sample_memory(http, report.sampled)))

            async def submit(number: int) -> None:
                if number % 2:
                    tasks.create_task(load.post(f"r-{number}"))
                else:
                    await load.submit(sockets[number % SOCKETS], f"r-{number}")

            await submit_at_random(OVERLOAD * CAPACITY_PER_S, seconds, submit, report.late)
        await until(lambda: not any(socket.unanswered for socket in sockets), 60)
        for reader in readers:
            reader.cancel()
    return report


async def _after(seconds: float, come_again: Any, kind: str) -> None:
    await asyncio.sleep(seconds)
    await come_again(kind)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        measured = Scheduler(Path(place), "embedded", "--no-node-grace-s", "10")
        try:
            print(asyncio.run(five_fold(measured, float(sys.argv[1]))))
        finally:
            measured.stop()
