"""The store fails in five ways, under a steady load. No accepted job is lost, and the process keeps running.

Each outage lasts longer than `waiting_timeout_s`: a job that waits for a node during the outage must not fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import redis

from tests.e2e.command_line import voxpool
from tests.e2e.conftest import running
from tests.e2e.ledger import PAIR, Ledger, steady_jobs
from tests.e2e.lookalike import Lookalike
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.test_bad_answers import goes_on, ready, until_refused
from tests.e2e.test_bad_input_clients import answer, text
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.sdk import Work, Worker

WAITING_S = 1.5


class Site(NamedTuple):
    """A scheduler whose store is behind `proxy`: `master` first, and `replica`, which copies it."""

    scheduler: Scheduler
    proxy: Lookalike
    master: RedisServer
    replica: RedisServer

    def admin(self) -> Any:
        """A client with full permissions at the master."""
        client: Any = redis.Redis.from_url(self.master.url, decode_responses=True, protocol=2)
        client.execute_command("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")
        client.execute_command("AUTH", "admin", "admin")
        return client


@asynccontextmanager
async def site(folder: Path, waiting_s: float) -> AsyncIterator[Site]:
    with ExitStack() as servers:
        master, replica = (servers.enter_context(redis_server()) for _ in range(2))
        copies(replica, master)
        async with Lookalike(master.port).open() as proxy:
            flags = ("--waiting-timeout-s", f"{waiting_s:g}", "--heartbeat-s", "5", "--lease-s", "200")
            scheduler = await asyncio.to_thread(Scheduler, folder, proxy.url, *flags)
            try:
                yield Site(scheduler, proxy, master, replica)
            finally:
                proxy.behave()
                code = await asyncio.to_thread(scheduler.stop)
            assert code == 0
            assert scheduler.events("scheduler_failed") == []


def copies(replica: RedisServer, master: RedisServer) -> None:
    """Make `replica` copy `master`, and return when it does."""
    with redis.Redis.from_url(replica.url, decode_responses=True, protocol=2) as client:
        client.replicaof("127.0.0.1", str(master.port))
        while client.info("replication")["master_link_status"] != "up":
            pass


async def down(site: Site, seconds: float) -> None:
    site.master.kill()
    site.proxy.drop()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(site.master.start)


async def emptied(site: Site, seconds: float) -> None:
    with site.admin() as admin:
        admin.flushall()
    await asyncio.sleep(seconds)


async def without_rights(site: Site, seconds: float) -> None:
    """The error is shown by /readyz, by the doctor and in a metric while it lasts, and logged once."""
    with site.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "default", "-evalsha")
        await until(lambda: not ready(site.scheduler))
        assert "NOPERM" in site.scheduler.get("/readyz")["detail"]
        ran = await asyncio.to_thread(voxpool, "doctor", "--url", site.scheduler.url)
        assert "NOPERM" in ran.stdout + ran.stderr
        async with httpx.AsyncClient(base_url=site.scheduler.url, trust_env=False) as http:
            metrics = (await http.get("/metrics")).text
        assert float(metrics.partition('voxpool_store_failures_total{meaning="not_now"} ')[2].split("\n")[0]) > 0
        await asyncio.sleep(seconds)
        assert [event["error"].count("NOPERM") for event in site.scheduler.events("store_failed")].count(1) == 1
        admin.execute_command("ACL", "SETUSER", "default", "+evalsha")


async def proxied_with_errors(site: Site, seconds: float) -> None:
    site.proxy.misbehave(b"-upstream failure\r\n", "connect", "flush", "claim")
    await asyncio.sleep(seconds)
    site.proxy.behave()


async def failed_over(site: Site, seconds: float) -> None:
    """The master dies; after a while its replica is promoted, and the address points to it."""
    site.master.kill()
    site.proxy.drop()
    await asyncio.sleep(seconds)
    with redis.Redis.from_url(site.replica.url, protocol=2) as client:
        client.replicaof("NO", "ONE")
    site.proxy.target = site.replica.port


OUTAGES: dict[str, Callable[[Site, float], Awaitable[None]]] = {
    one.__name__.replace("_", " "): one for one in (down, emptied, without_rights, proxied_with_errors, failed_over)
}
"""The failover comes last, because the master is gone afterwards."""


async def test_no_accepted_job_is_lost_in_an_outage_of_the_store(tmp_path: Path) -> None:
    """The outage is half as long again as the waiting timeout."""
    async with site(tmp_path, WAITING_S) as here, steady_jobs(here.scheduler) as ledger:
        await each_outage(here, ledger, 1.5 * WAITING_S)


@pytest.mark.large
@pytest.mark.timeout(900)
async def test_no_accepted_job_is_lost_in_an_outage_of_a_minute(tmp_path: Path) -> None:
    """With the default waiting timeout of ten seconds."""
    async with site(tmp_path, 10) as here, steady_jobs(here.scheduler) as ledger:
        await each_outage(here, ledger, 60)


async def each_outage(site: Site, ledger: Ledger, seconds: float) -> None:
    for name, outage in OUTAGES.items():
        ledger.refused.clear()
        before = len(ledger.accepted)
        await outage(site, seconds)
        await goes_on(site.scheduler, ledger)
        if name != "emptied":
            assert ledger.refused.keys() == {"store_unavailable"}, name
        else:
            assert not ledger.refused and len(ledger.accepted) > before, name
    assert all(1 <= seconds_to_wait <= 30 for seconds_to_wait in ledger.retry_after_s)


async def test_during_an_outage_only_new_submits_are_rejected(tmp_path: Path) -> None:
    """Over HTTP and over a WebSocket, after about a second; a waiting job keeps its place and its client's timeout."""
    gate, started = asyncio.Event(), asyncio.Event()

    async def work(work: Work) -> str:
        started.set()
        await gate.wait()
        return "done"

    async with site(tmp_path, WAITING_S) as here:
        worker = Worker(here.scheduler.url, node_id="gate", pairs=[PAIR], slots=100, work=work)
        ledger = Ledger(here.scheduler, every_s=1)
        async with running(worker), ledger.http, connected(here.scheduler.session_url) as client:
            await until(lambda: here.scheduler.node_ids() == ["gate"])
            await client.send(text(type="hello"))
            assert (await answer(client))["type"] == "welcome"
            accepted = (await ledger.submit("runs")).json()
            await until(started.is_set)
            here.proxy.misbehave(b"-ERR Connection timed out\r\n", "connect", "flush")
            waits = (await ledger.submit("waits")).json()
            limited = {"pair": PAIR, "timeout_ms": "2000"}
            expires = (await ledger.http.post("/v1/jobs", params=limited, content=TONE)).json()
            await until(lambda: not ready(here.scheduler))

            refused = await until_refused(ledger)
            assert (refused.status_code, refused.json()["reason"]) == (503, "store_unavailable")
            assert 1 <= int(refused.headers["retry-after"]) <= 5
            await client.send(text(type="submit", request_id="new", pair=PAIR, audio=TONE))
            rejected = await answer(client)
            assert (rejected["type"], rejected["reason"]) == ("rejected", "store_unavailable")
            assert 1000 <= rejected["retry_after_ms"] <= 5000
            for request_id, known in (("runs", accepted), ("waits", waits)):
                assert (await ledger.submit(request_id)).json()["job_id"] == known["job_id"]
            await client.send(text(type="submit", request_id="waits", pair=PAIR, audio=TONE))
            assert (await answer(client))["type"] == "accepted"

            gate.set()  # results are accepted during the outage
            assert await ledger.state_of(accepted["job_id"]) == "completed"
            assert await ledger.state_of(expires["job_id"]) == "failed", "the client's own limit counts on"
            await asyncio.sleep(2 * WAITING_S)
            assert await ledger.state_now(waits["job_id"]) == "waiting"
            here.proxy.behave()
            assert (await answer(client))["state"] == "completed"
            assert await ledger.ends() == {"completed": len(set(ledger.accepted))}


async def test_a_flushed_store_is_noticed_at_once(tmp_path: Path) -> None:
    """Long before the next heartbeat, which comes after the waiting timeout of the jobs."""
    with redis_server() as server:
        flags = ("--heartbeat-s", "30", "--lease-s", "90", "--waiting-timeout-s", "5")
        scheduler = await asyncio.to_thread(Scheduler, tmp_path, server.url, *flags)
        try:
            async with steady_jobs(scheduler) as ledger:
                for _ in range(3):
                    done = len(ledger.accepted)
                    await until(lambda done=done: len(ledger.accepted) > done + 10)  # type: ignore[misc]
                    with redis.Redis.from_url(server.url) as client:
                        client.flushall()
                    await goes_on(scheduler, ledger)
        finally:
            code = await asyncio.to_thread(scheduler.stop)
        assert code == 0
