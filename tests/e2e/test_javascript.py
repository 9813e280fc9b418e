"""The client and the worker in JavaScript, written from docs/protocol.md alone, against a real scheduler."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import EXAMPLES, TONE, Process, Scheduler, until
from tests.e2e.test_processes import started
from voxpool import Client, Work, Worker
from voxpool.loadtest.processes._line import Line

JAVASCRIPT = EXAMPLES / "javascript"
GATED_WORKER = Path(__file__).parent / "javascript" / "gated_worker.mjs"
FILES = [str(EXAMPLES / name) for name in ("tone.wav", "greeting.wav", "morning.wav")]
SIZES = {file: Path(file).stat().st_size for file in FILES}


class NodeProgram(Process):
    """A program of Node.js; its output is in `lines`."""

    program: ClassVar[tuple[str, ...]] = ("node",)

    def lines(self) -> list[dict[str, Any]]:
        """Return the printed JSON lines."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


class Programs:
    """Starts programs of Node.js, which end with the test."""

    def __init__(self, folder: Path, pair: str) -> None:
        self.folder = folder
        self.pair = pair
        self.node_id = f"js-{pair.partition(':')[0]}"
        self.started: list[NodeProgram] = []

    def client(self, url: str, *files: str) -> NodeProgram:
        """Start the client of the examples, which submits `files`."""
        return self.start(str(JAVASCRIPT / "client.mjs"), "--url", url, "--pair", self.pair, *files)

    def worker(self, url: str, slots: int = 1) -> NodeProgram:
        """Start the worker of the examples; its jobs run until `finish`."""
        return self.start(str(GATED_WORKER), url, self.node_id, self.pair, str(slots), str(self.folder / "finish"))

    def finish(self) -> None:
        """Let the jobs of the workers end."""
        (self.folder / "finish").touch()

    def start(self, *arguments: str) -> NodeProgram:
        """Run `node` with `arguments`."""
        packages = JAVASCRIPT / "node_modules"
        assert packages.is_dir(), "npm install in examples/javascript, which `make test` does, has not been run"
        program = NodeProgram(self.folder, f"program-{len(self.started)}", *arguments)
        self.started.append(program)
        return program


@pytest.fixture
def programs(folder: Path, pair: str) -> Iterator[Programs]:
    programs = Programs(folder, pair)
    yield programs
    for program in programs.started:
        program.popen.kill()
        program.popen.wait()


async def ended(program: NodeProgram) -> int:
    """Wait for the end of `program` and return its exit code."""
    return await asyncio.to_thread(program.end)


def test_each_file_is_short() -> None:
    """Examples should be readable at one sitting."""
    assert max(len(file.read_text().splitlines()) for file in JAVASCRIPT.glob("*.mjs")) <= 150


async def test_jobs_of_the_client_are_done_by_a_worker_in_python(scheduler: Scheduler, programs: Programs) -> None:
    node = Worker(scheduler.url, node_id="py", pairs=[programs.pair], work=lambda work: len(work.audio))
    async with running(node):
        client = programs.client(scheduler.url, *FILES)
        assert await ended(client) == 0, client.log.read_text()
    assert {line["file"]: line["output"] for line in client.lines()} == SIZES
    assert {(line["state"], line["attempts"]) for line in client.lines()} == {("completed", 1)}


async def test_a_client_that_loses_its_connection_gets_each_result_once(
    scheduler: Scheduler, programs: Programs
) -> None:
    """One job ends before the connection breaks, one while the client is disconnected, one after the reconnect."""
    may_end = {size: asyncio.Event() for size in SIZES.values()}
    ran: list[int] = []

    async def work(work: Work) -> int:
        ran.append(len(work.audio))
        await may_end[len(work.audio)].wait()
        return len(work.audio)

    node = Worker(scheduler.url, node_id="py", pairs=[programs.pair], slots=3, work=work)
    async with running(node), Line(scheduler.port).open() as line:
        client = programs.client(line.url, *FILES)
        await until(lambda: len(ran) == 3)
        first, second, third = may_end.values()
        first.set()
        await until(lambda: len(client.lines()) == 1)
        line.lose_answers()
        second.set()
        await until(lambda: node.done == 2)
        line.cut()
        line.mend()
        await until(lambda: len(client.lines()) == 2)
        third.set()
        assert await ended(client) == 0, client.log.read_text()
    assert sorted(line["output"] for line in client.lines()) == sorted(SIZES.values())
    assert sorted(ran) == sorted(SIZES.values()), "no job ran twice"


async def test_the_client_acknowledges_results_and_retries_rejected_submits(programs: Programs, folder: Path) -> None:
    """Two jobs at a time are accepted, and none while two results are not acknowledged."""
    bounds = ("--jobs-max", "2", "--unacknowledged-max", "2", "--retry-after-s", "0.05")
    with started(Scheduler(folder, "memory", *bounds)) as scheduler:

        async def work(work: Work) -> int:
            """The first jobs go on until another one is refused: else they may end before it comes."""
            await until(lambda: "jobs_max" in {event["reason"] for event in scheduler.events("job_rejected")})
            return len(work.audio)

        node = Worker(scheduler.url, node_id="py", pairs=[programs.pair], slots=2, work=work)
        async with running(node):
            client = programs.client(scheduler.url, *(2 * FILES))
            assert await ended(client) == 0, client.log.read_text()
        results = client.lines()
    assert {(line["state"], line["attempts"]) for line in results} == {("completed", 1)}
    assert sorted(line["output"] for line in results) == sorted(2 * [*SIZES.values()])


async def test_the_client_and_the_worker_outlive_the_scheduler(programs: Programs, folder: Path) -> None:
    """The next scheduler does not know the jobs or the numbers of the session; the client submits them again."""
    with started(Scheduler(folder, "memory", name="first")) as first:
        worker = programs.worker(first.url, slots=2)
        client = programs.client(first.url, *FILES)
        await until(lambda: len(worker.lines()) == 2)
        first.popen.kill()
        first.popen.wait()
        with started(Scheduler(folder, "memory", name="second", port=first.port)) as second:
            programs.finish()
            assert await ended(client) == 0, client.log.read_text()
            assert len(client.lines()) == len(FILES)
        assert len(second.events("job_ended")) == len(FILES)  # it has stopped: until then lines may wait to be written


async def test_a_rejection_or_a_failure_ends_the_client_with_1(
    scheduler: Scheduler, programs: Programs, folder: Path
) -> None:
    text = folder / "text.wav"
    text.write_text("la la la")
    refused = programs.client(scheduler.url, str(text))
    assert await ended(refused) == 1
    assert refused.log.read_text().splitlines()[-1].startswith("not_audio")
    programs.finish()
    odd = folder / "odd.wav"
    odd.write_bytes(TONE + b"x")
    programs.worker(scheduler.url)
    async with Client(scheduler.url) as client:
        result = await client.submit(odd.read_bytes(), programs.pair, attempts_max=2, backoff_ms=0)
    assert (result.state, result.error, result.attempts) == ("failed", "attempts_max", 2)
    assert "half a sample" in result.detail


async def test_a_job_of_a_client_in_python_is_done_by_the_worker(scheduler: Scheduler, programs: Programs) -> None:
    """It runs as many jobs at a time as it has slots, and its heartbeats keep it registered."""
    worker = programs.worker(scheduler.url, slots=2)

    def node() -> dict[str, Any]:
        nodes = scheduler.get("/v1/nodes")["nodes"]
        return next((node for node in nodes if node["node_id"] == programs.node_id), {})

    async with Client(scheduler.url) as client:
        jobs = [await client.start(TONE, programs.pair) for _ in range(5)]
        await until(lambda: len(worker.lines()) == 2)
        seen_ms = node()["seen_ms"]
        await until(lambda: node()["seen_ms"] > seen_ms)
        assert node()["running"] == len(worker.lines()) == 2
        programs.finish()
        results = [await job.result() for job in jobs]
    assert [(result.state, result.output) for result in results] == [
        ("completed", {"bytes": len(TONE), "attempt": 1})
    ] * 5


async def test_a_worker_reconnects_and_each_result_comes_once(scheduler: Scheduler, programs: Programs) -> None:
    async with Line(scheduler.port).open() as line, Client(scheduler.url) as client:
        worker = programs.worker(line.url, slots=2)
        jobs = [await client.start(TONE, programs.pair) for _ in range(4)]
        await until(lambda: len(worker.lines()) == 2)
        line.cut()
        await until(lambda: programs.node_id not in scheduler.node_ids())
        line.mend()
        await until(lambda: programs.node_id in scheduler.node_ids())
        programs.finish()
        results = [await job.result() for job in jobs]
        job_ids = sorted(job.job_id for job in jobs)

        def ends() -> list[str]:
            ended = [event["job_id"] for event in scheduler.events("job_ended")]
            return sorted(job_id for job_id in ended if job_id in job_ids)

        await until(lambda: ends() == job_ids)
    assert {result.state for result in results} == {"completed"}


async def test_the_worker_stops_cancelled_jobs_and_drains_on_sigterm(scheduler: Scheduler, programs: Programs) -> None:
    worker = programs.worker(scheduler.url)
    async with Client(scheduler.url) as client:
        unwanted, wanted, too_late = [await client.start(TONE, programs.pair) for _ in range(3)]
        await until(lambda: worker.lines())
        await unwanted.cancel()
        await until(lambda: len(worker.lines()) == 3)
        assert [(line["event"], line["job_id"]) for line in worker.lines()] == [
            ("began", unwanted.job_id),
            ("cancelled", unwanted.job_id),
            ("began", wanted.job_id),
        ]
        worker.signal(signal.SIGTERM)
        await until(lambda: programs.node_id not in scheduler.node_ids())
        programs.finish()
        assert (await wanted.result()).state == "completed"
        assert await ended(worker) == 0, worker.log.read_text()
        assert scheduler.get(f"/v1/jobs/{too_late.job_id}")["state"] == "waiting"
        await too_late.cancel()


async def test_a_second_worker_of_the_same_name_ends_with_one_line(scheduler: Scheduler, programs: Programs) -> None:
    programs.worker(scheduler.url)
    await until(lambda: programs.node_id in scheduler.node_ids())
    arguments = ("--url", scheduler.url, "--pair", programs.pair, "--id", programs.node_id)
    second = programs.start(str(JAVASCRIPT / "worker.mjs"), *arguments)
    assert await ended(second) == 1
    assert second.log.read_text().splitlines()[-1] == "the scheduler refuses this peer: 1008 name_taken"
