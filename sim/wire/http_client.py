"""A client that speaks plain HTTP: posts jobs, polls for their ends, cancels some, and lists them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, FAILED
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.protocol.answers import JobPage, JobView
from voxpool.sim.wire.http_connection import Answer, HttpConnections
from voxpool.sim.wire.ledger import Asked

if TYPE_CHECKING:
    from voxpool.sim.wire.world import WireWorld

POLL_S = 10.0
"""The longest wait for the end of a job in one request."""
PATIENCE_S = 15.0
"""The time that an answer may take beside that."""
AGAIN_S = (0.1, 2.0)
"""The pause after a request that failed."""
CANCELLED_SHARE = 0.1
PASSING = frozenset({404, 429, 503})
"""Answers after which the job is posted again: the scheduler does not know it, or can't take it now."""


class HttpProgram:
    """The program of one client process; `main` ends when every job has ended."""

    def __init__(self, world: WireWorld, name: str, life: int, jobs: int, random: random.Random) -> None:
        self._world, self._name, self._life, self._jobs, self._random = world, name, life, jobs, random

    async def main(self) -> None:
        """Post all jobs, and check that the list shows those that the scheduler still has."""
        token = self._world.tokens.get("client")
        headers = [] if token is None else [("authorization", f"Bearer {token}")]
        http = HttpConnections(self._world.address, self._world.settings.port, headers, POLL_S + PATIENCE_S)
        await self._post_all(http)
        if self._world.starts == 1:
            await self._list_all(http)
        http.close()

    async def _post_all(self, http: HttpConnections) -> None:
        async with asyncio.TaskGroup() as group:
            mine = self._world.ledger.of(self._name)
            for asked in mine:
                if not asked.is_answered:  # by an earlier process
                    group.create_task(self._one(http, asked))
            for number in range(len(mine), self._jobs):
                asked = self._world.new_request(self._name, number, self._random, life=self._life)
                asked.may_be_cancelled = self._random.random() < CANCELLED_SHARE
                group.create_task(self._one(http, asked))
                await asyncio.sleep(self._random.expovariate(4))

    async def _list_all(self, http: HttpConnections) -> None:
        """Read the list of jobs page by page; it has all of this client's, and each once."""
        listed: list[str] = []
        cursor: str | None = ""
        try:
            while cursor is not None:
                answer = await http.ask("GET", "/v1/jobs", {"limit": 7, **({"cursor": cursor} if cursor else {})})
                page = msgspec.json.decode(answer.body, type=JobPage)
                listed += [job.request_id for job in page.jobs if job.request_id.startswith(f"{self._name}-")]
                cursor = page.next_cursor
        except OSError:
            return
        is_whole = len(listed) == self._jobs or self._world.starts > 1
        if not is_whole or len(set(listed)) != len(listed):
            self._world.ledger.broken.append(f"{self._name} has {self._jobs} jobs, and the list {sorted(listed)}")

    async def _one(self, http: HttpConnections, asked: Asked) -> None:
        job = await self._ended(http, asked)
        while job is None:
            await asyncio.sleep(self._random.uniform(*AGAIN_S))
            job = await self._ended(http, asked)
        self._world.received(asked.request_id, self._life, job)

    async def _ended(self, http: HttpConnections, asked: Asked) -> JobView | None:
        """Return the ended job; None when it has to be posted again."""
        try:
            query = {"pair": "en:en", "wait_s": self._random.choice([0, 1])}
            answer = await http.ask("POST", "/v1/jobs", query, asked.audio, [("idempotency-key", asked.request_id)])
            if asked.may_be_cancelled and answer.is_success:
                answer = await http.ask("DELETE", f"/v1/jobs/{_job(answer).job_id}")
            while answer.is_success:
                job = _job(answer)
                if job.state in (COMPLETED, FAILED, CANCELLED):
                    return None if job.error == STOPPING else job
                answer = await http.ask("GET", f"/v1/jobs/{job.job_id}", {"wait_s": POLL_S})
        except OSError:
            return None
        if answer.status not in PASSING:
            raise RuntimeError(f"{asked.request_id}: {answer.status} {answer.body[:300]!r}")
        return None


def _job(answer: Answer) -> JobView:
    return msgspec.json.decode(answer.body, type=JobView)
