"""A store with invalid answers: the scheduler keeps running, loses no job, and recovers afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.e2e.bad_answers import ANSWERS
from tests.e2e.ledger import Ledger, steady_jobs
from tests.e2e.lookalike import POINTS, Lookalike
from tests.e2e.processes import PATIENCE_S, Scheduler, until
from tests.servers import RedisServer, redis_server

FLAGS = ("--heartbeat-s", "1", "--lease-s", "20", "--waiting-timeout-s", "60")
A_ROW = 3
"""The number of invalid answers in a row before the store answers correctly for a moment."""
AT_A_FLUSH = ("connect", "info", "load", "flush", "middle")


def ready(scheduler: Scheduler) -> bool:
    """Return whether it can place jobs; it must be running."""
    try:
        return bool(scheduler.get("/readyz") == {"status": "ready"})
    except httpx.TransportError:
        raise AssertionError(f"it has ended: {scheduler.events('scheduler_failed')}") from None


async def goes_on(scheduler: Scheduler, ledger: Ledger) -> None:
    """Check that the store is back and that a new job completes."""
    await until(lambda: ready(scheduler))
    answer = await ledger.submit()
    assert answer.status_code == 202, answer.json()
    job_id = answer.json()["job_id"]
    assert (await ledger.http.get(f"/v1/jobs/{job_id}", params={"wait_s": 10})).json()["state"] == "completed"


@asynccontextmanager
async def behind_a_lookalike(server: RedisServer, folder: Path) -> AsyncIterator[tuple[Scheduler, Lookalike]]:
    async with Lookalike(server.port).open() as lookalike:
        scheduler = await asyncio.to_thread(Scheduler, folder, lookalike.url, *FLAGS)
        try:
            yield scheduler, lookalike
        finally:
            lookalike.behave()
            code = await asyncio.to_thread(scheduler.stop)
        assert code == 0
        assert scheduler.events("scheduler_failed") == []


async def test_the_scheduler_survives_each_invalid_answer(tmp_path: Path) -> None:
    """It is given at connect, to INFO, SCRIPT LOAD and EVALSHA, in the middle of a pipeline; and each time to the
    claim.
    """
    assert len(ANSWERS) >= 40
    with redis_server() as server:
        async with behind_a_lookalike(server, tmp_path) as (scheduler, lookalike), steady_jobs(scheduler) as ledger:
            for number, answer in enumerate(ANSWERS):
                point = AT_A_FLUSH[number % len(AT_A_FLUSH)]
                lookalike.misbehave(answer, point, "claim")
                gets_it = {"connect", *POINTS[point]}
                await until(lambda wanted=gets_it: lookalike.given.keys() & wanted)  # type: ignore[misc]
                if b"BANANA" in answer:  # it was sent; the next one closes the connections in any case
                    await until(lambda: logged_as_unknown(scheduler, "BANANA"))
                if number % A_ROW == 0:
                    lookalike.behave()
                    await until(lambda: ready(scheduler))
            lookalike.behave()
            await goes_on(scheduler, ledger)


def logged_as_unknown(scheduler: Scheduler, word: str) -> bool:
    """Return whether the scheduler logged an unknown answer with `word`."""
    errors = {event["error"] for event in scheduler.events("store_failed")}
    return any(word in error and "does not know" in error for error in errors)


async def until_refused(ledger: Ledger) -> httpx.Response:
    """Submit until a submit is rejected."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await ledger.submit()).status_code == 202:  # noqa: ASYNC110 - the scheduler tells nobody
            await asyncio.sleep(0.05)
    return answer
