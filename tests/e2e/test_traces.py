"""One trace from the client's span over scheduler and node to the result, in real processes, with a real receiver."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection

from tests.e2e.otlp_receiver import Received, Receiver, receiving, tree
from tests.e2e.processes import TONE, Scheduler, connected, until
from tests.e2e.traced_worker import SPOKEN
from tests.unit.log_rules import strange_lines, traces_of
from voxpool.scheduler.protocol.codec import encode, to_node
from voxpool.scheduler.protocol.messages import Assign, Heartbeat, NodeResult, Register, Registered
from voxpool.scheduler.sdk import Client, SyncClient
from voxpool.scheduler.sdk.http import HttpClient

PAIR = "zh:en"
WORKED = ["attempt", ["work", ["user"]]]
OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def traced(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler that samples every job."""
    flags = ("--traces-endpoint", receiver.url, "--log-level", "debug")
    scheduler = Scheduler(tmp_path_factory.mktemp("traced"), "memory", *flags)
    yield scheduler
    assert scheduler.stop() == 0
    assert scheduler.events("spans_lost") == scheduler.events("http_server") == []
    assert strange_lines(scheduler.events()) == []
    for body in receiver.raw:
        assert traces_of(SPOKEN.encode(), body) == [] and traces_of(TONE[:64], body) == [], "no payload, ever"
    assert receiver.paths == {("/v1/traces", "application/x-protobuf")}


@contextlib.contextmanager
def worker(scheduler: Scheduler, receiver: Receiver, node_id: str, pair: str, kind: str = "thread") -> Iterator[int]:
    """Run a worker process with OpenTelemetry; yield its process id."""
    words = [scheduler.url, receiver.url, node_id, pair, kind]
    process = subprocess.Popen([sys.executable, "-m", "tests.e2e.traced_worker", *words], stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def caller(receiver: Receiver) -> Iterator[TracerProvider]:
    """The tracer that a client program sets up."""
    provider = TracerProvider(resource=Resource.create({"service.name": "caller"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces")))
    yield provider
    provider.shutdown()


async def ready(scheduler: Scheduler, *node_ids: str) -> None:
    await until(lambda: set(node_ids) <= set(scheduler.node_ids()))


async def complete_trace(receiver: Receiver, job_id: str, count: int) -> list[Received]:
    """Return the spans of the trace of that job, once there are `count` and its own is among them."""
    await until(lambda: receiver.job(job_id))
    job = receiver.job(job_id)
    assert job is not None
    await until(lambda: len(receiver.of_trace(job.trace)) >= count)
    return receiver.of_trace(job.trace)


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_a_job_is_one_trace_across_three_processes(
    traced: Scheduler, receiver: Receiver, caller: TracerProvider, pair: str, kind: str
) -> None:
    with worker(traced, receiver, f"node-{kind}", pair, kind):
        await ready(traced, f"node-{kind}")
        async with Client(traced.url) as client:
            with caller.get_tracer("test").start_as_current_span("caller") as own:
                result = await client.submit(TONE, pair, session_affinity=True)
    assert result.state == "completed"
    spans = await complete_trace(receiver, result.job_id, 7)
    assert tree(spans) == [["caller", ["job", ["waiting", ["select"]], WORKED]]]
    assert spans[0].span == f"{own.get_span_context().span_id:016x}"
    by_name = {span.name.removeprefix("voxpool."): span for span in spans}
    assert {span.service for span in spans} == {"caller", "voxpool", "worker"}
    kinds = {name: span.kind for name, span in by_name.items() if name not in ("caller", "user")}
    assert kinds == {
        "job": "server",
        "waiting": "internal",
        "select": "client",
        "attempt": "client",
        "work": "server",
    }
    job, attempt, work, select = (by_name[name] for name in ("job", "attempt", "work", "select"))
    known = {"job_id": result.job_id, "pair": pair}
    assert job.attributes == {
        **known,
        "audio_bytes": len(TONE),
        "attempt": 1,
        "redispatches": 0,
        "state": "completed",
        "node_id": f"node-{kind}",
        "session_id": client.session_id,
    }
    assert attempt.attributes == {**known, "attempt": 1, "node_id": f"node-{kind}"}
    assert work.attributes == {**attempt.attributes, "session_id": client.session_id}
    assert select.attributes == {
        "job_id": result.job_id,
        "attempt": 1,
        "result": "allocated",
        "node_id": f"node-{kind}",
    }
    assert by_name["waiting"].attributes == known
    assert [span.error for span in spans] == [""] * 7
    waiting = by_name["waiting"]
    assert job.start_ns <= waiting.start_ns <= select.start_ns <= select.end_ns <= waiting.end_ns == attempt.start_ns
    assert attempt.start_ns <= work.start_ns and work.end_ns <= job.end_ns >= attempt.end_ns
    assert isinstance(result.output, dict)
    assert result.output["span"] == by_name["user"].span, "the user's code is in the context of the work"
    assert result.output["trace"] == f"00-{job.trace}-{attempt.span}-01", "and is told it without the package, too"
    await until(lambda: [line for line in traced.events("job_ended") if line["job_id"] == result.job_id])
    logged = [line for line in traced.events() if line.get("job_id") == result.job_id]
    reported = [(line["event"], line.get("trace_id")) for line in logged if line["event"] != "job_removed"]
    assert reported == [(event, job.trace) for event in ("job_submitted", "job_dispatched", "job_ended")]


async def test_a_redispatched_job_shows_both_attempts(traced: Scheduler, receiver: Receiver, pair: str) -> None:
    """Its node is killed during the work: its own span is lost, the scheduler's spans show the reason."""
    async with httpx.AsyncClient(base_url=traced.url, trust_env=False) as http:
        with worker(traced, receiver, "dies", pair) as pid:
            await ready(traced, "dies")
            answer = await http.post("/v1/jobs", params={"pair": pair}, content=TONE + b"wait")
            job_id = answer.json()["job_id"]
            await until(lambda: traced.get(f"/v1/jobs/{job_id}")["state"] == "dispatched")
            with worker(traced, receiver, "takes-over", pair):
                await ready(traced, "takes-over")
                os.kill(pid, signal.SIGKILL)
                await until(lambda: traced.get(f"/v1/jobs/{job_id}")["attempts"] == 2)
                await http.delete(f"/v1/jobs/{job_id}")
    spans = await complete_trace(receiver, job_id, 7)
    assert tree(spans) == [["job", ["waiting", ["select"]], ["attempt"], ["waiting", ["select"]], ["attempt"]]]
    first, second = (span for span in spans if span.name == "voxpool.attempt")
    assert (first.attributes["node_id"], first.attributes["attempt"], first.error) == ("dies", 1, "closed")
    assert (second.attributes["node_id"], second.attributes["attempt"], second.error) == ("takes-over", 2, "")
    job = receiver.job(job_id)
    assert job is not None and job.attributes["redispatches"] == 1
    assert job.events == [("redispatched", {"attempt": 1, "node_id": "dies", "reason": "closed"})]
    assert (job.attributes["state"], job.attributes["reason"], job.error) == ("cancelled", "cancelled", "")


@pytest.mark.parametrize(
    ("says", "reason", "attempts", "of_work"),
    [(b"fail", "broken_model", 1, "broken_model"), (b"raise", "attempts_max", 4, "engine_error")],
)
async def test_the_span_of_a_failed_job_has_the_reason(
    traced: Scheduler, receiver: Receiver, pair: str, says: bytes, reason: str, attempts: int, of_work: str
) -> None:
    with worker(traced, receiver, f"bad-{reason}", pair):
        await ready(traced, f"bad-{reason}")
        async with Client(traced.url) as client:
            result = await client.submit(TONE + says, pair)
    assert (result.state, result.error, result.attempts) == ("failed", reason, attempts)
    spans = await complete_trace(receiver, result.job_id, 1 + 5 * attempts)
    job = receiver.job(result.job_id)
    assert job is not None and (job.error, job.attributes["reason"]) == (reason, reason)
    tried = [span for span in spans if span.name == "voxpool.attempt"]
    assert [span.error for span in tried] == ([reason] if attempts == 1 else ["error"] * attempts)
    worked = [span for span in spans if span.name == "voxpool.work"]
    assert [span.error for span in worked] == [of_work] * attempts
    assert [span.parent for span in worked] == [span.span for span in tried]
    assert [event for span in worked for event in span.events] == [], "the text of an exception may be payload"


async def test_the_span_of_a_cancelled_job_ends_its_work_too(
    traced: Scheduler, receiver: Receiver, caller: TracerProvider, pair: str
) -> None:
    with worker(traced, receiver, "cancels", pair, "async"):
        await ready(traced, "cancels")
        async with Client(traced.url) as client:
            with caller.get_tracer("test").start_as_current_span("caller"):
                started = await client.start(TONE + b"wait", pair)
            await until(lambda: traced.get(f"/v1/jobs/{started.job_id}")["state"] == "dispatched")
            await started.cancel()
            assert (await started.result()).state == "cancelled"
            spans = await complete_trace(receiver, started.job_id, 7)
    assert tree(spans) == [["caller", ["job", ["waiting", ["select"]], WORKED]]]
    work = next(span for span in spans if span.name == "voxpool.work")
    assert work.attributes["cancelled"] is True and work.error == ""


async def raw_node(socket: ClientConnection, node_id: str, pair: str) -> Assign:
    """Register as a node and return its first assign."""
    await socket.send(encode(Register(node_id, node_id, [pair], 1, []), binary=True))
    while True:
        frame = await socket.recv()
        assert isinstance(frame, bytes)
        message = to_node.decode(frame, binary=True)
        if isinstance(message, Assign):
            return message
        assert isinstance(message, Registered)


async def test_a_late_result_belongs_to_its_own_attempt(traced: Scheduler, receiver: Receiver, pair: str) -> None:
    """Two heartbeats report that the node doesn't have the job; it answers later, with its context."""
    async with connected(traced.node_url) as slow, Client(traced.url) as client:
        first = asyncio.create_task(raw_node(slow, "slow", pair))
        submitted = asyncio.create_task(client.submit(TONE, pair))
        assign = await first
        assert assign.trace is not None
        async with connected(traced.node_url) as quick:
            second = asyncio.create_task(raw_node(quick, "quick", pair))
            await ready(traced, "quick")
            for _ in range(2):
                await slow.send(encode(Heartbeat([]), binary=True))
            again = await second
            await quick.send(encode(NodeResult(again.job_id, again.attempt, "text", trace=again.trace), binary=True))
            assert (await submitted).state == "completed"
            await slow.send(encode(NodeResult(assign.job_id, assign.attempt, "late", trace=assign.trace), binary=True))
            await until(lambda: receiver.named("late_result"))
    spans = await complete_trace(receiver, assign.job_id, 8)
    assert tree(spans) == [
        ["job", ["waiting", ["select"]], ["attempt", ["late_result"]], ["waiting", ["select"]], ["attempt"]]
    ]
    (late,) = receiver.named("late_result")
    assert late.attributes == {"job_id": assign.job_id, "attempt": 1, "node_id": "slow"}
    attempts = [span for span in spans if span.name == "voxpool.attempt"]
    assert [span.error for span in attempts] == ["assign_lost", ""] and assign.trace[36:52] == attempts[0].span
    assert (await until(lambda: traced.events("late_result")))[-1]["trace_id"] == late.trace


async def test_the_parent_is_passed_over_http_and_by_the_synchronous_clients(
    traced: Scheduler, receiver: Receiver, caller: TracerProvider, pair: str
) -> None:
    def submit(way: str) -> str:
        with caller.get_tracer("test").start_as_current_span(way):
            if way == "http":
                with HttpClient(traced.url) as http:
                    return http.submit(TONE, pair, wait_s=20).job_id
            with SyncClient(traced.url) as client:
                return client.submit(TONE, pair).job_id

    with worker(traced, receiver, "sync", pair):
        await ready(traced, "sync")
        job_ids = {way: await asyncio.to_thread(submit, way) for way in ("http", "sync")}
    for way, job_id in job_ids.items():
        spans = await complete_trace(receiver, job_id, 7)
        assert tree(spans) == [[way, ["job", ["waiting", ["select"]], WORKED]]]


async def test_a_traceparent_decides_and_a_wrong_one_is_ignored(
    traced: Scheduler, receiver: Receiver, pair: str
) -> None:
    """A traceparent that is not sampled is passed to the node and makes no span."""
    reported = f"00-{'ab' * 16}-{'cd' * 8}"
    async with httpx.AsyncClient(base_url=traced.url, trust_env=False) as http:
        with worker(traced, receiver, "decides", pair):
            await ready(traced, "decides")
            answers = [
                await http.post(
                    "/v1/jobs", params={"pair": pair, "wait_s": "20"}, content=TONE, headers={"traceparent": parent}
                )
                for parent in (f"{reported}-00", "00-no-such-thing", f"{reported}-01")
            ]
    views = [answer.json() for answer in answers]
    assert views[0]["output"]["trace"] == f"{reported}-00"
    spans = await complete_trace(receiver, views[2]["job_id"], 6)
    assert tree(spans, root="cd" * 8) == [["job", ["waiting", ["select"]], WORKED]]
    assert await complete_trace(receiver, views[1]["job_id"], 6)
    assert receiver.job(views[0]["job_id"]) is None


async def test_exemplars_of_sampled_jobs_link_to_a_span_that_was_exported(
    traced: Scheduler, receiver: Receiver, pair: str
) -> None:
    with worker(traced, receiver, "exemplary", pair):
        await ready(traced, "exemplary")
        async with Client(traced.url) as client:
            await client.submit(TONE, pair)
    found = exemplars(traced)
    assert set(found) == {"voxpool_wait_seconds", "voxpool_service_seconds"}
    for labels in (labels for all_labels in found.values() for labels in all_labels):
        (span,) = await until(
            lambda labels=labels: [  # type: ignore[misc]
                span
                for span in receiver.named("attempt")
                if (span.trace, span.span) == (labels["trace_id"], labels["span_id"])
            ]
        )
        assert span.error == ""
    assert "# {" in scrape(traced, OPENMETRICS) and "# {" not in scrape(traced, {}), "the old format has none"


def scrape(scheduler: Scheduler, headers: dict[str, str]) -> str:
    """Return the text of /metrics."""
    return httpx.get(f"{scheduler.url}/metrics", headers=headers, trust_env=False).text


def exemplars(scheduler: Scheduler) -> dict[str, list[dict[str, str]]]:
    """Return family -> the labels of its exemplars."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(scrape(scheduler, OPENMETRICS)):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar is not None:
                found.setdefault(family.name, []).append(dict(sample.exemplar.labels))
    return found
