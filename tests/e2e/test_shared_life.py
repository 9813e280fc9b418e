"""What two schedulers on one Redis share: sessions, the order of results, long outputs; and nothing is left."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from tests.e2e.closes import of_each, settled
from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until
from tests.servers import redis_server
from voxpool.scheduler.sdk import Client, Work, Worker, WorkFailed

LEASE_S = RETENTION_S = 2.0
SETTINGS = ("data_version", "partitions", "order")
"""What all schedulers share is stored for good."""
FLAGS = (
    *("--jobs", "redis", "--partitions", "2", "--waiting-timeout-s", "60", "--retention-s", str(RETENTION_S)),
    *("--scheduler-lease-s", str(LEASE_S), "--in-order-grace-s", "60", "--cleanup-interval-s", "0.25"),
    *("--why-jobs-max", "0"),
)


LAZY = {"table core.dispatcher._deadlines._heap", "table sessions.log._this_second"}
"""Numbers of deadlines, some of things that have gone, which leave in time; and what was logged in this second."""


class Two(NamedTuple):
    """Schedulers A and B, and what is stored for them."""

    a: Scheduler
    b: Scheduler
    url: str

    def families(self) -> set[str]:
        """Return the families of jobs that the server has keys of which do not end by themselves, as an audio does."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            names = [name for name in client.scan_iter("vp:jobs:{*") if client.ttl(name) < 0]
            return {name.rpartition(":")[2] for name in names}

    def members(self, family: str) -> set[str]:
        """Return the members of the sorted sets of a family."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return {
                member for name in client.scan_iter(f"vp:jobs:{{*:{family}") for member in client.zrange(name, 0, -1)
            }


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with redis_server() as server:
        folder = tmp_path_factory.mktemp("two")
        a, b = (Scheduler(folder, server.url, *FLAGS, name=name, patience_s=60) for name in ("a", "b"))
        yield Two(a, b, server.url)
        for one in (a, b):
            assert one.stop() == 0 and one.events("scheduler_failed") == []


def worker_of(scheduler: Scheduler, node_id: str, pair: str, work: Callable[[Work], object], slots: int = 1) -> Worker:
    return Worker(scheduler.url, node_id=node_id, pairs=[pair], slots=slots, work=work)


async def test_the_jobs_of_a_session_go_to_the_scheduler_of_its_node(two: Two) -> None:
    """There are nodes at both; the one that had the first job has all."""
    ran: list[str] = []
    nodes = [worker_of(two.b, f"{name}-b", "session:en", partial(_note, ran, name)) for name in "12"]
    async with running(nodes[0]), running(nodes[1]), Client(two.a.url, give_up_s=5) as client:
        await client.submit(TONE, "session:en", session_affinity=True)
        async with running(worker_of(two.a, "0-a", "session:en", partial(_note, ran, "0"))):
            await until(lambda: two.a.get("/v1/nodes")["nodes"])
            for _ in range(10):
                await client.submit(TONE, "session:en", session_affinity=True)
    assert set(ran) == {ran[0]} and len(ran) == 11


async def test_results_come_in_the_order_of_the_submits(two: Two) -> None:
    """The first job of many ends last, and the others run at two schedulers."""
    gate, ended = asyncio.Event(), list[int]()

    async def slow(work: Work) -> int:
        if len(work.audio) == len(TONE):
            await gate.wait()
        return len(work.audio) - len(TONE)

    nodes = [worker_of(scheduler, f"order-{scheduler.pid}", "order:en", slow, slots=4) for scheduler in (two.a, two.b)]
    async with running(nodes[0]), running(nodes[1]), Client(two.a.url, in_order=True) as client:
        jobs = [asyncio.ensure_future(client.submit(audio_of(number), "order:en")) for number in range(20)]
        for job in jobs:
            job.add_done_callback(lambda done: ended.append(done.result().output))
        await until(lambda: sum(node.done for node in nodes) == 19)
        assert ended == []
        gate.set()
        await asyncio.gather(*jobs)
    assert ended == list(range(20))


async def test_long_outputs_reach_the_client_of_another_scheduler(two: Two) -> None:
    outputs = ["x" * size for size in (900, 1_100, 200_000)]
    worker = worker_of(two.b, "long", "long:en", lambda work: outputs[len(work.audio) - len(TONE)])
    async with running(worker), Client(two.a.url, give_up_s=5) as client:
        for number, output in enumerate(outputs):
            assert (await client.submit(audio_of(number), "long:en")).output == output


async def test_many_jobs_leave_nothing_in_two_schedulers_and_in_redis(two: Two) -> None:
    """Clients and nodes are at both; jobs complete, fail and come again elsewhere, and are cancelled."""
    await come_and_go(two, 100)
    before = [of_each(max, await asyncio.to_thread(settled, one, two.url)) for one in (two.a, two.b)]
    await come_and_go(two, 1000)
    for one, early in zip((two.a, two.b), before, strict=True):
        more = of_each(min, await asyncio.to_thread(settled, one, two.url, early)).more_than(early)
        assert more.keys() <= LAZY, more


async def come_and_go(two: Two, count: int) -> None:
    """Let sessions with ten jobs each come and go at both schedulers, with nodes that stop in the end."""
    ended = Counter[str]()

    async def flaky(work: Work) -> str:
        if work.attempt == 1 and len(work.audio) % 3 == 0:
            raise WorkFailed("out_of_memory", retryable=True)
        await asyncio.sleep(0.001)
        return "done"

    async def use(client: Client, number: int) -> None:
        job = await client.start(audio_of(number), "leak:en", backoff_ms=0)
        if number == 9:
            await job.cancel()
        ended[(await job.result()).state] += 1

    async with AsyncExitStack() as stack:
        for scheduler in (two.a, two.b):
            for number in range(2):
                node = worker_of(scheduler, f"leak-{number}-{scheduler.pid}", "leak:en", flaky, slots=4)
                await stack.enter_async_context(running(node))
        for _ in range(count // 20):
            async with Client(two.a.url, give_up_s=5) as one, Client(two.b.url, give_up_s=5) as other:
                await asyncio.gather(*(use(client, number) for client in (one, other) for number in range(10)))
    assert ended.total() == count and ended["completed"] >= 0.9 * count


async def test_nothing_is_left_when_all_has_ended(two: Two, tmp_path: Path) -> None:
    """After retention and sweep only the members, their wishes and counts stay; nothing of a scheduler that died.

    It dies while its node works for a client of another one, and while its clients wait: nobody asks for their jobs.
    """
    died = Scheduler(tmp_path, two.url, *FLAGS, name="c", patience_s=60)
    gate, begun = asyncio.Event(), list[str]()

    async def work(work: Work) -> str:
        begun.append(work.job_id)
        await gate.wait()
        return "done"

    lost = worker_of(died, "lost", "last:en", work, slots=4)
    async with running(lost), Client(two.a.url) as client, Client(died.url) as silent:
        for _ in range(10):
            await silent.start(TONE, "nobody:en", timeout_ms=5000)
        jobs = [await client.start(TONE, "last:en") for _ in range(20)]
        await until(lambda: len(begun) == 4)
        died.signal(signal.SIGKILL)
        died.end()
        gate.set()
        lost.stop()
        async with running(worker_of(two.b, "last", "last:en", work, slots=4)):
            assert {(await job.result()).state for job in jobs} == {"completed"}
    await until(lambda: len(two.members("schedulers")) == 2, 60)
    end_s = time.monotonic() + 60
    while left := two.families() - {*SETTINGS, "schedulers", "counts", "hungry"}:
        assert time.monotonic() < end_s, left
        await asyncio.sleep(0.1)
    living = two.members("schedulers")
    assert {wish for wish in two.members("hungry") if living.isdisjoint(wish.split("|"))} == set()


def _note(ran: list[str], name: str, work: Work) -> None:
    ran.append(name)


def audio_of(number: int) -> bytes:
    """Return audio that differs for each number."""
    return TONE + bytes(number)
