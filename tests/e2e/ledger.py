"""A steady client over HTTP that records its jobs: every accepted job must be completed in the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator

import httpx

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from voxpool.scheduler.core.jobs.job import FINAL_STATES
from voxpool.scheduler.sdk import Work, Worker

PAIR = "en:en"
WORK_S = 0.01
PATIENCE_S = 60.0


class Ledger:
    """Submits a job every `every_s`; `accepted` are the ids of accepted jobs, `refused` counts the reasons."""

    def __init__(self, scheduler: Scheduler, every_s: float) -> None:
        self.accepted: list[str] = []
        self.refused: Counter[str] = Counter()
        self.retry_after_s: list[int] = []
        self.http = httpx.AsyncClient(base_url=scheduler.url, trust_env=False, timeout=30)
        self._every_s = every_s
        self._numbers = itertools.count()

    async def submit(self, request_id: str = "") -> httpx.Response:
        """Submit one job now, and record the answer."""
        headers = {"idempotency-key": request_id or f"ledger-{next(self._numbers)}"}
        answer = await self.http.post("/v1/jobs", params={"pair": PAIR}, headers=headers, content=TONE)
        if answer.status_code == 202:
            self.accepted.append(answer.json()["job_id"])
        else:
            self.refused[answer.json()["reason"]] += 1
            self.retry_after_s.append(int(answer.headers["retry-after"]))
        return answer

    async def run(self) -> None:
        """Submit until cancelled."""
        while True:
            await self.submit()
            await asyncio.sleep(self._every_s)

    async def state_of(self, job_id: str) -> str:
        """Return the state of a job when it has ended, or after five seconds."""
        return str((await self.http.get(f"/v1/jobs/{job_id}", params={"wait_s": 5})).json()["state"])

    async def state_now(self, job_id: str) -> str:
        """Return the state of a job."""
        return str((await self.http.get(f"/v1/jobs/{job_id}")).json()["state"])

    async def ends(self) -> Counter[str]:
        """Return how many of the accepted jobs ended in each state, once all have ended."""
        states: Counter[str] = Counter()
        for job_id in dict.fromkeys(self.accepted):
            async with asyncio.timeout(PATIENCE_S):
                while (state := await self.state_of(job_id)) not in FINAL_STATES:
                    pass
            states[state] += 1
        return states


@contextlib.asynccontextmanager
async def steady_jobs(scheduler: Scheduler, every_s: float = 0.02) -> AsyncIterator[Ledger]:
    """Run a node and a ledger with steady jobs; at the end every accepted job must have completed."""

    async def work(work: Work) -> int:
        await asyncio.sleep(WORK_S)
        return len(work.audio)

    worker = Worker(scheduler.url, node_id="steady", pairs=[PAIR], slots=4, work=work)
    ledger = Ledger(scheduler, every_s)
    async with running(worker), ledger.http:
        await until(lambda: scheduler.node_ids() == ["steady"])
        traffic = asyncio.create_task(ledger.run())
        try:
            yield ledger
        finally:
            traffic.cancel()
            await asyncio.wait([traffic])
        assert await ledger.ends() == {"completed": len(set(ledger.accepted))}
