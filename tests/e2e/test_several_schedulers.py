"""Several schedulers share their jobs on one Redis: real processes, clients and nodes at different ones."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Process, Scheduler, connected, until
from tests.servers import RedisServer, redis_server
from voxpool.loadtest.processes._line import Line
from voxpool.scheduler.protocol.messages import JobResult
from voxpool.scheduler.sdk import Client, Refused, Started, SubmitRejected, Work, Worker

PAIR = "en:en"
LEASE_S = 2.0
FLAGS = (
    *("--jobs", "redis", "--partitions", "4", "--scheduler-lease-s", str(LEASE_S), "--waiting-timeout-s", "60"),
    *("--probe-s", "0.2"),
)

Start = Callable[..., Scheduler]


@contextmanager
def starting(server: RedisServer, folder: Path) -> Iterator[Start]:
    """Start schedulers by name, on one Redis; those that run at the end must stop in good order."""
    started: list[Scheduler] = []

    def start_one(name: str, *flags: str, port: int = 0) -> Scheduler:
        scheduler = Scheduler(folder, server.url, *FLAGS, *flags, name=name, port=port, patience_s=60)
        started.append(scheduler)
        return scheduler

    yield start_one
    for scheduler in started:
        if scheduler.popen.poll() is None:
            assert scheduler.stop() == 0
            assert scheduler.events("scheduler_failed") == []


@pytest.fixture
def start(server: RedisServer, folder: Path) -> Iterator[Start]:
    with starting(server, folder) as start_one:
        yield start_one


class Three(NamedTuple):
    """Schedulers on one Redis that no test disturbs."""

    a: Scheduler
    b: Scheduler
    c: Scheduler
    redis: str


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    with redis_server() as server, starting(server, tmp_path_factory.mktemp("three")) as start_one:
        yield Three(start_one("a"), start_one("b"), start_one("c"), server.url)


async def length(work: Work) -> int:
    return len(work.audio)


async def test_a_job_runs_at_the_node_of_another_scheduler(three: Three) -> None:
    """Its client is at A, its node at B."""
    a, b = three.a, three.b
    worker = Worker(b.url, node_id="n", pairs=[PAIR], slots=2, work=length)
    async with running(worker), Client(a.url, give_up_s=5) as client:
        results = await asyncio.gather(*(client.submit(TONE, PAIR) for _ in range(50)))
    assert {(result.state, result.output, result.attempts) for result in results} == {("completed", len(TONE), 1)}
    assert worker.done == 50


class Gated:
    """A node that works on a job until it may finish."""

    def __init__(self, scheduler: Scheduler, node_id: str, slots: int = 4) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.worker = Worker(scheduler.url, node_id=node_id, pairs=[PAIR], slots=slots, work=self._work)

    async def _work(self, work: Work) -> int:
        self.begun.append(work.job_id)
        await self.gate.wait()
        return len(work.audio)


async def test_jobs_of_a_killed_scheduler_run_again_elsewhere(start: Start) -> None:
    """B dies with its node's jobs; the node of A runs them when the lease of B is over."""
    a, b = start("a"), start("b")
    lost = Gated(b, "lost")
    async with Client(a.url) as client, running(lost.worker):
        jobs = [asyncio.create_task(client.submit(TONE, PAIR)) for _ in range(4)]
        await until(lambda: len(lost.begun) == 4)
        async with running(Worker(a.url, node_id="n", pairs=[PAIR], slots=4, work=length)):
            await until(lambda: a.node_ids() == ["n"])
            b.popen.kill()
            results = await asyncio.gather(*jobs)
        lost.gate.set()
        c = start("c", port=b.port)
        await until(lambda: c.node_ids() == ["lost"])
    assert {(result.state, result.output, result.attempts) for result in results} == {("completed", len(TONE), 2)}


async def test_a_client_whose_scheduler_died_asks_the_next_one(start: Start) -> None:
    """The job goes on meanwhile, and is not run twice; a job that ended has its result there."""
    a, b, c = start("a"), start("b"), start("c")
    node = Gated(b, "n")
    async with running(node.worker), Client(c.url) as next_one:
        async with Client(a.url) as client:
            node.gate.set()
            done = await client.submit(TONE, PAIR, request_id="done")
            node.gate.clear()
            asyncio.ensure_future(client.submit(TONE, PAIR, request_id="runs")).add_done_callback(_ignore)
            await until(lambda: len(node.begun) == 2)
            a.popen.kill()
        again = await next_one.submit(TONE, PAIR, request_id="done")
        assert (again.job_id, again.state, again.output, again.attempts) == (done.job_id, "completed", len(TONE), 1)
        job = await next_one.start(TONE, PAIR, request_id="runs")
        node.gate.set()
        result = await job.result()
    assert (result.state, result.output, result.attempts) == ("completed", len(TONE), 1)
    assert len(node.begun) == 2


async def test_a_node_takes_its_work_along_to_another_scheduler(start: Start, folder: Path) -> None:
    """Its scheduler dies; it registers at the next one with what it runs, and that counts."""
    patient = ("--scheduler-lease-s", "60")
    a, b = start("a", *patient), start("b", *patient)
    node = Gated(b, "n")
    async with Client(a.url) as client, running(node.worker):
        job = asyncio.create_task(client.submit(TONE, PAIR))
        await until(lambda: node.begun)
        b.popen.kill()
        b.popen.wait()
        c = start("c", *patient, port=b.port)
        await until(lambda: c.node_ids() == ["n"])
        node.gate.set()
        result = await job
    assert (result.state, result.output, result.attempts) == ("completed", len(TONE), 1)
    assert len(node.begun) == 1


async def test_a_cancel_reaches_the_node_at_another_scheduler(three: Three) -> None:
    """By the client's connection, and by HTTP at a scheduler that has neither the client nor the node."""
    a, b, c, _ = three
    node = Gated(b, "n", slots=1)
    async with running(node.worker), Client(a.url) as client:
        first, second = await client.start(TONE, PAIR), await client.start(TONE, PAIR)
        await until(lambda: node.begun == [first.job_id])
        assert c.get(f"/v1/jobs/{first.job_id}")["state"] == "dispatched"
        answer = (await asyncio.to_thread(httpx.delete, f"{c.url}/v1/jobs/{first.job_id}")).json()
        assert (answer["state"], answer["error"]) == ("cancelled", "cancelled")
        assert (await first.result()).state == "cancelled"
        await until(lambda: node.begun[1:] == [second.job_id])
        await second.cancel()
        assert (await second.result()).state == "cancelled"
        assert c.get(f"/v1/jobs/{second.job_id}")["state"] == "cancelled"


async def test_a_full_partition_refuses_jobs_at_all_schedulers(start: Start) -> None:
    """The bound is on the unfinished jobs of all schedulers."""
    a, b = start("a", "--jobs-max", "3"), start("b", "--jobs-max", "3")
    async with Client(a.url) as one, Client(b.url, retry_s=0) as other:
        waiting = [await one.start(TONE, PAIR) for _ in range(3)]
        with pytest.raises(SubmitRejected) as refused:
            await other.start(TONE, PAIR)
        assert refused.value.reason == "jobs_max" and refused.value.retry_after_ms
        answer = await asyncio.to_thread(httpx.post, f"{b.url}/v1/jobs?pair={PAIR}", content=TONE)
        assert (answer.status_code, answer.json()["reason"]) == (503, "jobs_max")
        await waiting[0].cancel()
        await waiting[0].result()
        await other.start(TONE, PAIR)


@pytest.mark.parametrize(("name", "value"), [("partitions", "8"), ("order", "fair")])
def test_another_setting_of_what_all_must_share_is_refused(three: Three, folder: Path, name: str, value: str) -> None:
    """It would look for jobs where they are not, or take them in another order."""
    other = Process(folder, "other", "serve", "--port", "0", "--store", three.redis, *FLAGS, f"--{name}", value)
    assert other.end() == 3
    assert f"this one has {name} = {value}" in other.log.read_text()


class Flood(NamedTuple):
    """Jobs in the order fair: one of a flood runs, the others wait with one of another key and an urgent one."""

    schedulers: tuple[Scheduler, Scheduler]
    begun: list[str]
    """The jobs that the node has begun, in this order."""
    first: Started
    flood: list[Started]
    sparse: Started
    urgent: Started


@asynccontextmanager
async def flooded(start: Start, count: int) -> AsyncIterator[Flood]:
    """A flood of one key at A, the other two jobs at B, whose node has one slot; at the end all jobs complete."""
    a, b = start("a", "--order", "fair"), start("b", "--order", "fair")
    node = Gated(b, "n", slots=1)
    async with running(node.worker), Client(a.url) as one, Client(b.url) as other:
        first = await one.start(TONE, PAIR, key="flood")
        await until(lambda: node.begun == [first.job_id])
        flood = [await one.start(TONE, PAIR, key="flood") for _ in range(count)]
        sparse = await other.start(TONE, PAIR, key="sparse")
        urgent = await other.start(TONE, PAIR, key="flood", priority=1)
        yield Flood((a, b), node.begun, first, flood, sparse, urgent)
        node.gate.set()
        results = [await job.result() for job in (first, *flood, sparse, urgent)]
    assert {result.state for result in results} == {"completed"}


async def test_keys_take_turns_over_all_schedulers(start: Start) -> None:
    async with flooded(start, 8) as jobs:
        assert jobs.schedulers[0].get(f"/v1/jobs/{jobs.sparse.job_id}")["state"] == "waiting"
    assert jobs.begun[:2] == [jobs.first.job_id, jobs.urgent.job_id]
    assert jobs.sparse.job_id in jobs.begun[2:4]


async def test_a_scheduler_that_stops_lets_its_jobs_end_and_others_go_on(start: Start) -> None:
    """Its node finishes what it has and gets nothing more; what waits goes to the node of another scheduler."""
    a, b = start("a"), start("b", "--drain-s", "20")
    node = Gated(b, "n", slots=2)
    async with Client(a.url) as client, running(node.worker):
        jobs = [asyncio.create_task(client.submit(TONE, PAIR)) for _ in range(6)]
        await until(lambda: len(node.begun) == 2)
        b.popen.terminate()
        await until(lambda: b.events("scheduler_stopping"))
        node.gate.set()
        await until(lambda: b.popen.poll() is not None)
        assert b.events("scheduler_stopped")[0]["handed_back"] == 0
        async with running(Worker(a.url, node_id="m", pairs=[PAIR], slots=2, work=length)) as _:
            results = await asyncio.gather(*jobs)
    assert {(result.state, result.attempts) for result in results} == {("completed", 1)}
    assert len(node.begun) == 2


async def test_the_name_of_a_node_is_at_one_scheduler(three: Three) -> None:
    """Another process under the name is refused; the same one takes its name along, and the older connection ends."""
    a, b = three.a, three.b
    first = Worker(a.url, node_id="n", pairs=[PAIR], slots=1, work=length)
    async with running(first):
        await until(lambda: a.node_ids() == ["n"])
        with pytest.raises(Refused) as refused:
            await Worker(b.url, node_id="n", pairs=[PAIR], slots=1, work=length).run()
        assert refused.value.reason == "name_taken"
        assert a.node_ids() == ["n"] and b.node_ids() == []
        moved = Worker(b.url, node_id="n", pairs=[PAIR], slots=1, work=length)
        moved.process_id = first.process_id
        async with running(moved):
            await until(lambda: b.node_ids() == ["n"] and a.events("node_offline"))


async def test_the_result_of_a_job_can_be_waited_for_at_any_scheduler(three: Three) -> None:
    """Its client is at A, its node at B; C is asked for it by HTTP, before and after its end."""
    a, b, c, _ = three
    node = Gated(b, "n")
    async with running(node.worker), Client(a.url) as client:
        job = await client.start(TONE, PAIR)
        await until(lambda: node.begun)
        asked = asyncio.create_task(asyncio.to_thread(c.get, f"/v1/jobs/{job.job_id}?wait_s=30"))
        node.gate.set()
        view = await asked
        assert (view["state"], view["output"], view["node_id"], view["attempts"]) == ("completed", len(TONE), "n", 1)
        assert view["request_id"] == job.request_id and view["times_ms"]["total"] >= 0
        assert c.get(f"/v1/jobs/{job.job_id}")["state"] == "completed"


async def test_a_client_that_has_moved_keeps_its_job(three: Three) -> None:
    """Its session at A ends, without a goodbye, while it waits at C: the job is not given up."""
    a, b, c, _ = three
    node = Gated(b, "n")
    async with running(node.worker), Client(c.url) as here:
        async with connected(a.session_url) as socket:
            hello = {"type": "hello", "protocol": 1, "session_id": "moved", "patience_ms": 0}
            await socket.send(json.dumps(hello))
            audio = base64.b64encode(TONE).decode()
            await socket.send(json.dumps({"type": "submit", "request_id": "r", "pair": PAIR, "audio": audio}))
            await until(lambda: node.begun)
            job = await here.start(TONE, PAIR, request_id="r")
            socket.transport.abort()
        ended = await until(lambda: [line for line in a.events("job_ended") if line["job_id"] == job.job_id])
        assert ended[0]["reason"] == "session_gone"
        node.gate.set()
        result = await job.result()
    assert (result.state, result.attempts, len(node.begun)) == ("completed", 1, 1)


async def test_a_client_that_comes_back_does_not_get_what_it_has_got_elsewhere(three: Three) -> None:
    """Its jobs end while it is at B; A, which still has its session, knows the results, too."""
    a, b, c, _ = three
    node, surplus = Gated(c, "n"), list[JobResult]()
    async with (
        running(node.worker),
        Line(a.port, b.port).open() as line,
        Client(line.url, on_result=surplus.append) as client,
    ):
        line.cut(b.port)
        jobs = [await client.start(TONE, PAIR) for _ in range(4)]
        line.mend(b.port)
        line.cut(a.port)
        await until(lambda: client.connects == 2)
        node.gate.set()
        results = [await job.result() for job in jobs]
        await until(lambda: {result.job_id for result in results} <= {line["job_id"] for line in a.events("job_ended")})
        line.mend(a.port)
        line.cut(b.port)
        await client.submit(TONE, PAIR)
    assert [result.state for result in results] == ["completed"] * 4
    assert client.connects == 3 and surplus == []


def _ignore(task: asyncio.Task[JobResult]) -> None:
    if not task.cancelled():
        task.exception()
