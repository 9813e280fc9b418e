"""Spans of jobs as a tree; sampling; and that nothing is kept of ended jobs."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.fakes import make_job
from tests.unit.rig import Link, Rig
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.scripts import ScriptCall, Want, reservations_of, select_explained, select_node
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.protocol.messages import Assign, NodeResult, WorkError
from voxpool.scheduler.protocol.trace_context import checked, is_sampled, span_id, trace_id, traceparent
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.traces.observer import EVENTS_MAX, TraceObserver
from voxpool.scheduler.telemetry.traces.spans import Span
from voxpool.scheduler.telemetry.traces.traced_runner import TracedRunner

SAID = "the man said: come"
DOCS = Path(__file__).parents[2] / "docs" / "traces.md"
WORK = {f"voxpool.{name}" for name in ("job_id", "pair", "attempt", "node_id", "session_id", "reason", "cancelled")}


class TracedRig(Rig):
    """A rig whose core is traced; the ns clock advances by one at each reading, so that all times are in order."""

    def __init__(self, sample: float = 1.0) -> None:
        self.spans: list[Span] = []
        self.ns = 0
        self.observer = TraceObserver(sample, self._now_ns, random.Random(7), self.spans.append)
        store = MemoryStore()
        super().__init__(runner=TracedRunner(store, self.observer), observer=self.observer)
        self.store = store

    def _now_ns(self) -> int:
        self.ns += 1
        return self.ns

    def names(self) -> list[str]:
        """Return the names of the spans in the order of their ends."""
        return [span.name.removeprefix("voxpool.") for span in self.spans]

    def named(self, name: str) -> list[Span]:
        """Return the spans of that name."""
        return [span for span in self.spans if span.name == f"voxpool.{name}"]


def traces_sent(link: Link) -> list[str | None]:
    """Return the trace of each assign."""
    return [message.trace for message in link.of_kind(Assign) if isinstance(message, Assign)]


async def test_a_job_that_completes_has_four_spans() -> None:
    rig = TracedRig()
    node, link = await rig.node("ann")
    job = await rig.submit(session_id="s-1")
    await rig.answer(node, job, output=SAID)
    assert rig.names() == ["select", "waiting", "attempt", "job"]
    select, waiting, attempt, whole = rig.spans
    assert {span.trace for span in rig.spans} == {whole.trace} and len({span.span for span in rig.spans}) == 4
    assert (whole.parent, waiting.parent, attempt.parent, select.parent) == (
        0,
        whole.span,
        whole.span,
        waiting.span,
    )
    assert traces_sent(link) == [traceparent(whole.trace, attempt.span, True)]
    assert whole.start_ns <= waiting.start_ns < select.start_ns < select.end_ns < waiting.end_ns == attempt.start_ns
    assert attempt.start_ns < attempt.end_ns < whole.end_ns
    assert whole.attributes["voxpool.session_id"] == "s-1" and whole.attributes["voxpool.state"] == "completed"
    assert not [value for span in rig.spans for value in span.attributes.values() if value == SAID]
    assert rig.observer.lives == {} and job.trace == ""


async def test_abandoned_attempts_have_a_reason() -> None:
    rig = TracedRig()
    node, _ = await rig.node("ann")
    job = await rig.submit()
    rig.desk.left(node)
    await rig.settle()
    other, _ = await rig.node("bob")
    await rig.busy(other, job)
    rig.dispatcher.cancel(job.job_id)
    assert [span.error for span in rig.named("attempt")] == ["closed", "busy"]
    assert [span.attributes["voxpool.node_id"] for span in rig.named("attempt")] == ["ann", "bob"]
    (whole,) = rig.named("job")
    assert [(event.name, event.attributes["voxpool.reason"]) for event in whole.events] == [
        ("redispatched", "closed"),
        ("redispatched", "busy"),
    ]
    assert (whole.error, whole.attributes["voxpool.reason"]) == ("", "cancelled")
    assert rig.named("waiting")[-1].error == "" and len(rig.named("waiting")) == 3
    results = [span.attributes["voxpool.result"] for span in rig.named("select")]
    assert results.count("allocated") == 2 and set(results) == {"allocated", "nobody"}


async def test_a_nodes_reason_is_recorded_only_if_it_is_a_word() -> None:
    rig = TracedRig()
    node, _ = await rig.node("ann")
    job = await rig.submit()
    rig.desk.result(node, NodeResult(job.job_id, 1, error=WorkError(SAID)))
    (whole,) = rig.named("job")
    assert (job.reason, job.detail) == ("engine_error", SAID)
    assert whole.error == whole.attributes["voxpool.reason"] == "engine_error"
    assert rig.named("attempt")[0].error == "engine_error"
    assert SAID not in repr([whole.attributes, whole.events])


async def test_a_job_that_times_out_while_waiting_has_no_attempt() -> None:
    rig = TracedRig()
    job = await rig.submit()
    await rig.pass_time(11)
    assert job.reason == "no_node" and "attempt" not in rig.names()
    assert [span.error for span in (*rig.named("waiting"), *rig.named("job"))] == ["no_node"] * 2


async def test_an_outage_of_the_store_and_its_end_are_events() -> None:
    rig = TracedRig()
    inner = rig.store.run
    failures = [StoreUnavailable("gone")]

    async def run(calls: Sequence[ScriptCall]) -> list[list[str]]:
        if failures and calls[-1].name == "select_node":
            raise failures.pop()
        return await inner(calls)

    await rig.node("ann")
    rig.store.run = run  # type: ignore[method-assign]
    await rig.submit()
    assert [(span.error, span.attributes["voxpool.result"]) for span in rig.named("select")] == [
        ("store_unavailable", "store_unavailable"),
        ("", "allocated"),
    ]


async def test_a_stale_allocation_is_an_event_and_events_are_bounded() -> None:
    rig = TracedRig()
    job = await rig.submit()
    for _ in range(2 * EVENTS_MAX):
        rig.observer.stale_allocation(job, "ann", "g-1")
    rig.dispatcher.cancel(job.job_id)
    events = rig.named("job")[0].events
    assert len(events) == EVENTS_MAX and events[0].name == "stale_allocation"


async def test_the_parent_of_a_late_result_is_the_context_that_the_node_sent() -> None:
    rig = TracedRig()
    node, link = await rig.node("ann")
    job = await rig.submit()
    (sent,) = traces_sent(link)
    assert sent is not None
    rig.dispatcher.cancel(job.job_id)
    for trace in (sent, sent[:-2] + "00", None, "rubbish"):
        rig.desk.result(node, NodeResult(job.job_id, 1, trace=trace))
    (late,) = rig.named("late_result")
    assert (f"{late.trace:032x}", f"{late.parent:016x}") == (trace_id(sent), span_id(sent))


@pytest.mark.parametrize(("flags", "is_traced"), [("01", True), ("00", False), ("03", True), ("ff", True)])
async def test_a_traceparent_overrides_the_ratio(flags: str, is_traced: bool) -> None:
    came_with = f"00-{'ab' * 16}-{'cd' * 8}-{flags}"
    for sample in (0.0, 1.0):
        rig = TracedRig(sample)
        node, link = await rig.node("ann")
        job = await rig.submit(trace=came_with)
        await rig.answer(node, job)
        assert len(rig.spans) == (4 if is_traced else 0)
        (sent,) = traces_sent(link)
        assert sent is not None and trace_id(sent) == "ab" * 16 and is_sampled(sent) == is_traced
        if is_traced:
            assert f"{rig.named('job')[0].parent:016x}" == "cd" * 8 and rig.named("job")[0].has_remote_parent
        else:
            assert sent == came_with


async def test_a_ratio_samples_its_share_and_nodes_learn_about_the_others() -> None:
    rig = TracedRig(0.25)
    node, link = await rig.node("ann", slots=1)
    for _ in range(400):
        await rig.answer(node, await rig.submit())
    sent = traces_sent(link)
    taken = [trace for trace in sent if trace is not None and is_sampled(trace)]
    assert len(sent) == 400 and None not in sent and len(set(sent)) == 400
    assert 60 <= len(taken) <= 140, "100 are expected"
    assert {int(trace_id(trace) or "", 16) for trace in taken} == {span.trace for span in rig.spans}
    assert all(int(trace[19:35], 16) < 2**62 for trace in taken), "as everybody decides who asks for a ratio of it"


async def test_nothing_is_kept_of_jobs_that_ended() -> None:
    rig = TracedRig()
    node, _ = await rig.node("ann", slots=3)
    jobs = [await rig.submit() for _ in range(4)]
    assert len(rig.observer.lives) == 4
    await rig.answer(node, jobs[0])
    await rig.fail(node, jobs[1], retryable=False)
    rig.dispatcher.cancel(jobs[2].job_id)
    rig.dispatcher.cancel(jobs[3].job_id)
    assert rig.observer.lives == {} and [job.trace for job in jobs] == [""] * 4


def documented() -> dict[str, set[str]]:
    """Return span -> attributes, as docs/traces.md has them."""
    rows = re.findall(r"^\| `(voxpool\.\w+)` \| \w+ \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    return {
        name: {f"voxpool.{word}" for word in re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", cell))}
        for name, cell in rows
    }


async def test_the_documentation_names_every_span_and_attribute() -> None:
    rig = TracedRig()
    node, link = await rig.node("ann")
    job = await rig.submit(session_id="s-1")
    await rig.answer(node, job)
    await rig.fail(node, await rig.submit(), retryable=False)
    await rig.submit()
    await rig.submit()
    await rig.pass_time(70)
    rig.desk.result(node, NodeResult(job.job_id, 1, trace=traces_sent(link)[0]))
    seen: dict[str, set[str]] = {}
    for span in rig.spans:
        seen.setdefault(span.name, set()).update(span.attributes)
    reported = documented()
    assert reported.pop("voxpool.work") == WORK, "it is the SDK's: tests/e2e/test_traces.py"
    assert seen == reported


def test_reservations_are_decoded_as_encoded() -> None:
    wants = [
        Want("a|1", "zh:en", 5, "", ()),
        Want("b|2", "x:y", 6, "ann", ("p", "q", "r")),
        Want("c|3", "z:z", 7, "", ("p",)),
    ]
    call = select_node(1, 2, 3, 4, wants)
    assert reservations_of(call) == reservations_of(select_explained(call)) == ["a|1", "b|2", "c|3"]
    assert reservations_of(select_node(1, 2, 3, 4, [])) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "00", f"00-{'0' * 32}-{'c' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01", f"ff-{'a' * 32}-{'c' * 16}-01"),
        *(f"00-{'A' * 32}-{'c' * 16}-01", f"00-{'a' * 32}-{'c' * 16}-01\n", f"00-{'a' * 32}-{'c' * 16}-1"),
        *(f"00-{'a' * 32}-{'c' * 16}-01-more", f" 00-{'a' * 32}-{'c' * 16}-01", "é" * 55),
    ],
)
def test_an_invalid_traceparent_is_ignored(wrong: str) -> None:
    assert checked(wrong) == "" and checked(None) == ""
    assert trace_id("") is None and not is_sampled("")


def test_a_written_traceparent_can_be_read() -> None:
    text = traceparent(5, 6, True)
    assert checked(text) == text and trace_id(text) == f"{5:032x}" and span_id(text) == f"{6:016x}" and is_sampled(text)
    assert not is_sampled(traceparent(5, 6, False))


def test_an_observer_ignores_unknown_jobs() -> None:
    """It may be added to a core with running jobs, and always receives events of jobs that are not sampled."""
    spans: list[Span] = []
    observer = TraceObserver(0.0, lambda: 0, random.Random(1), spans.append)
    job: Job = make_job(1)
    observer.job_submitted(job)
    observer.job_dispatched(job, Node("n", "p", ("zh:en",), 1, Link(), 0))
    observer.job_redispatched(job, "n", 1, "closed")
    observer.stale_allocation(job, "n", "g")
    observer.job_ended(job)
    assert spans == [] and observer.lives == {}
