"""A store that answers what nobody wants to read: the scheduler lives, loses no job, and goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import redis

from tests.live.bad_answers import ANSWERS
from tests.live.command_line import voxpool
from tests.live.ledger import Ledger, steady_jobs
from tests.live.lookalike import POINTS, Lookalike
from tests.live.processes import PATIENCE_S, Scheduler, until
from tests.servers import RedisServer, redis_server

FLAGS = ("--heartbeat-s", "1", "--lease-s", "20", "--waiting-timeout-s", "60")
AT_A_FLUSH = ("connect", "info", "load", "flush", "middle")


def ready(scheduler: Scheduler) -> bool:
    """Whether it can place jobs; it must live."""
    try:
        return bool(scheduler.get("/readyz") == {"status": "ready"})
    except httpx.TransportError:
        raise AssertionError(f"it has ended: {scheduler.events('scheduler_failed')}") from None


async def goes_on(scheduler: Scheduler, ledger: Ledger) -> None:
    """The store is back, and a job that is submitted now is completed."""
    await until(lambda: ready(scheduler))
    job_id = (await ledger.submit()).json()["job_id"]
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


async def test_each_bad_answer_is_lived_through(tmp_path: Path) -> None:
    """Given at connect, to INFO, SCRIPT LOAD and EVALSHA, in the middle of a pipeline; and each time to the claim."""
    assert len(ANSWERS) >= 40
    with redis_server() as server:
        async with behind_a_lookalike(server, tmp_path) as (scheduler, lookalike), steady_jobs(scheduler) as ledger:
            for number, answer in enumerate(ANSWERS):
                point = AT_A_FLUSH[number % len(AT_A_FLUSH)]
                lookalike.misbehave(answer, point, "claim")
                gets_it = {"connect", *POINTS[point]}
                await until(lambda wanted=gets_it: lookalike.given.keys() & wanted)  # type: ignore[misc]
                lookalike.behave()
                await until(lambda: ready(scheduler))
            await goes_on(scheduler, ledger)
    errors = {event["error"] for event in scheduler.events("store_failed")}
    assert any("BANANA" in error and "does not know" in error for error in errors), "logged with its text"


async def test_rights_that_are_taken_away_for_a_while_are_waited_for(tmp_path: Path) -> None:
    """What is wrong is shown by /readyz, by the doctor and in a metric while it lasts, and logged once."""
    with redis_server() as server:
        async with behind_a_lookalike(server, tmp_path) as (scheduler, _), steady_jobs(scheduler) as ledger:
            with redis.Redis.from_url(server.url) as admin:
                admin.execute_command("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")
                admin.execute_command("AUTH", "admin", "admin")
                admin.execute_command("ACL", "SETUSER", "default", "-evalsha")
                await until(lambda: not ready(scheduler))
                refused = await until_refused(ledger)
                assert (refused.status_code, refused.json()["reason"]) == (503, "store_unavailable")
                assert "NOPERM" in scheduler.get("/readyz")["detail"]
                ran = await asyncio.to_thread(voxpool, "doctor", "--url", scheduler.url)
                assert "NOPERM" in ran.stdout + ran.stderr
                metrics = (await ledger.http.get("/metrics")).text
                assert 'voxpool_store_failures_total{meaning="not_now"}' in metrics
                assert [event["error"].count("NOPERM") for event in scheduler.events("store_failed")] == [1]
                admin.execute_command("ACL", "SETUSER", "default", "+evalsha")
            await goes_on(scheduler, ledger)


async def until_refused(ledger: Ledger) -> httpx.Response:
    """Submit until the first one is refused."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await ledger.submit()).status_code == 202:  # noqa: ASYNC110 - the scheduler tells nobody
            await asyncio.sleep(0.05)
    return answer
