"""The feeds of two schedulers on a real Redis: jobs run at the node of the other one, and outlive it and the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.contract.jobs.schedulers import LEASE_MS, Client, Worker, audio, scheduler, submit, until
from tests.servers import RedisServer, redis_server
from voxpool.scheduler.config import Settings
from voxpool.scheduler.shared.partition.asked import audio_s
from voxpool.scheduler.stores.redis import RedisStore
from voxpool.scheduler.stores.script_sources import JOBS


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


async def test_jobs_run_at_the_node_of_another_scheduler(server: RedisServer) -> None:
    """Each ends once, with its own content, at the client's scheduler."""
    client = Client()
    async with scheduler(server.url, "a") as a, scheduler(server.url, "b") as b:
        worker = Worker(b)
        submit(a, client, 300)
        await until(lambda: len(client.ends) == 300)
        assert len(worker.got) == 300 and a.sizes == b.sizes == (0, 0, 0)
    assert sorted(client.ends) == sorted((f"r{n}", "c", sha256(audio(n)).hexdigest()) for n in range(300))


async def test_a_dead_schedulers_jobs_run_elsewhere(server: RedisServer) -> None:
    """Its lease ends; another one takes what it had."""
    client = Client()
    async with scheduler(server.url, "a") as a:
        async with scheduler(server.url, "b") as b:
            silent = Worker(b, silent=True)
            submit(a, client, 4)
            await until(lambda: len(silent.got) == 4)
        worker = Worker(a)
        await until(lambda: len(client.ends) == 4)
        assert len(worker.got) == 4
    assert sorted(end[0] for end in client.ends) == ["r0", "r1", "r2", "r3"]


async def test_a_server_that_lost_everything_is_asked_again(server: RedisServer) -> None:
    """It is killed and comes back empty: what clients wait for is in the schedulers."""
    client = Client()
    async with scheduler(server.url, "a") as a, scheduler(server.url, "b") as b:
        silent = Worker(b, silent=True)
        submit(a, client, 20)
        await until(lambda: len(silent.got) == 4)
        server.kill()
        silent.silent = False
        server.start()
        await until(lambda: len(client.ends) == 20)
    assert len({end[0] for end in client.ends}) == 20


async def test_audio_outlives_the_waiting_and_the_attempts_of_its_job(server: RedisServer) -> None:
    """It is owned by its time to live, which follows from the settings; and it is removed with the end of its job."""
    client, settings = (
        Client(),
        Settings(waiting_timeout_s=3, dispatch_timeout_s=5, backoff_max_s=1, store_patience_s=7),
    )
    assert audio_s(settings, lease_s=2, attempts_max=10) == 10 * (3 + 5 + 1 + 2) + 7
    store = RedisStore(server.url, layout=JOBS)
    async with scheduler(server.url, "a") as a, scheduler(server.url, "b") as b:
        submit(a, client, 1)
        asked = a.find_asked("0.r0")
        assert asked is not None
        await until(lambda: asked.is_accepted)
        (key,) = await store.client.keys("vp:jobs:{0}:audio:*")
        usual_s = audio_s(Settings(), LEASE_MS / 1000, asked.attempts_max)
        assert usual_s - 60 < await store.client.ttl(key) <= usual_s
        Worker(b)
        await until(lambda: bool(client.ends))
        while await store.client.keys("vp:jobs:{0}:audio:*"):  # noqa: ASYNC110  # goes with the next flush
            await asyncio.sleep(0.01)
    await store.close()
