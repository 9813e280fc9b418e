"""A machine with a client that speaks plain HTTP: posts jobs, polls for their ends, cancels some, and lists them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from voxpool.scheduler.core.jobs.job import CANCELLED, COMPLETED, FAILED
from voxpool.scheduler.core.jobs.reasons import STOPPING
from voxpool.scheduler.protocol.answers import JobPage, JobView
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.wire.http_connection import Answer, HttpConnections
from voxpool.sim.wire.ledger import Asked
from voxpool.sim.wire.sdk_client import WireClient

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


class WireHttpClient(WireClient):
    """A client that speaks HTTP, over connections that it keeps."""

    def __init__(self, world: WireWorld, name: str) -> None:
        super().__init__(world, name)
        self._random = plain_random(world.seed, f"{name}/http")

    async def main(self) -> None:
        token = self.world.tokens.get("client")
        headers = [] if token is None else [("authorization", f"Bearer {token}")]
        http = HttpConnections(self.world.address, self.world.settings.port, headers, POLL_S + PATIENCE_S)
        async with asyncio.TaskGroup() as group:
            for asked in self.unfinished():
                group.create_task(self._one(http, asked))
            while (new := await self.next_request()) is not None:
                new.may_be_cancelled = self._random.random() < CANCELLED_SHARE
                group.create_task(self._one(http, new))
        await self._list_all(http)
        http.close()

    async def _list_all(self, http: HttpConnections) -> None:
        """Read the list of jobs page by page: it shows no job twice."""
        listed: list[str] = []
        cursor: str | None = ""
        try:
            while cursor is not None:
                answer = await http.ask("GET", "/v1/jobs", {"limit": 50, **({"cursor": cursor} if cursor else {})})
                page = msgspec.json.decode(answer.body, type=JobPage)
                listed += [job.job_id for job in page.jobs]
                cursor = page.next_cursor
        except OSError:
            return
        if len(set(listed)) != len(listed):
            self.world.ledger.broke(f"a list shows jobs twice: {sorted(listed)}")

    async def _one(self, http: HttpConnections, asked: Asked) -> None:
        job = await self._ended(http, asked)
        while job is None:
            await asyncio.sleep(self._random.uniform(*AGAIN_S))
            job = await self._ended(http, asked)
        self.world.received(asked.request_id, self.starts, job)

    async def _ended(self, http: HttpConnections, asked: Asked) -> JobView | None:
        """Return the ended job; None when it has to be posted again."""
        try:
            query: dict[str, object] = {"pair": asked.pair, "wait_s": self._random.choice([0, 1])}
            if asked.timeout_ms is not None:
                query["timeout_ms"] = asked.timeout_ms
            share = {"priority": asked.priority, "key": asked.key}
            query |= {name: value for name, value in share.items() if value is not None}
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
