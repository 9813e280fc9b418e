"""The submits of a client: cancelled, rejected and retried, bounded."""

from __future__ import annotations

import asyncio
from typing import Self

import pytest

from tests.unit.played_client import PAIR, asks, client_of, now, result_of, submitted
from tests.unit.played_scheduler import PlayedScheduler, settle, welcome
from tests.unit.virtual import virtual
from voxpool.scheduler.protocol.messages import Accepted, CancelJob, Partial, RejectedSubmit, Submit
from voxpool.scheduler.sdk import Client, ClientClosed, SubmitRejected


@virtual
async def test_a_cancel_waits_for_the_job_id(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        (a,) = asks(client, "a")
        (b,) = asks(client, "b")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        first.say(Accepted("b", "j-b"))
        await settle()
        a.cancel()
        b.cancel()
        await settle()
        assert first.of_kind(CancelJob) == [CancelJob("j-b")]
        first.say(Accepted("a", "j-a"))
        await settle()
        assert first.of_kind(CancelJob) == [CancelJob("j-b"), CancelJob("j-a")]
        assert a.cancelled() and b.cancelled()
        assert client._session._tasks == set(), "what was sent beside the reading is done"


@virtual
async def test_a_cancelled_submit_is_cancelled_over_the_next_connection_too(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        started = asyncio.create_task(client.start(b"audio", PAIR, request_id="a"))
        first = await scheduler.connected(1)
        first.say(welcome(), Accepted("a", "j-a"))
        job = await started
        assert (job.job_id, job.request_id) == ("j-a", "a")
        first.cut()
        await settle()
        await job.cancel()
        second = await scheduler.connected(2)
        second.say(welcome(), Accepted("a", "j-a2"))
        await settle()
        assert second.of_kind(CancelJob) == [CancelJob("j-a2")] and job.job_id == "j-a2"
        second.say(result_of("a", 1, "cancelled"))
        assert (await job.result()).state == "cancelled"
        await job.cancel()
        await settle()
        assert len(second.of_kind(CancelJob)) == 1, "it has ended"


@virtual
async def test_a_submit_that_was_never_sent_is_cancelled_at_once(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        started = asyncio.create_task(client.start(b"audio", PAIR, request_id="a"))
        await settle()
        request = client._session._requests["a"]
        await client._session.cancel(request)
        with pytest.raises(SubmitRejected, match="cancelled: it was cancelled before"):
            await started
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        assert submitted(first) == []


@virtual
async def test_a_rejected_submit_is_retried_at_its_time_within_its_patience(scheduler: PlayedScheduler) -> None:
    async with client_of(retry_s=10) as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        first.say(RejectedSubmit("a", "waiting_max", 2000), RejectedSubmit("unknown", "waiting_max", 2000))
        await asyncio.sleep(1.99)
        assert submitted(first) == ["a"]
        await asyncio.sleep(1.02)
        assert submitted(first) == ["a", "a"]
        first.say(RejectedSubmit("a", "waiting_max", 0))
        await settle()
        await settle()
        assert submitted(first) == ["a", "a", "a"]
        first.say(RejectedSubmit("a", "waiting_max", 9000, "full"))
        with pytest.raises(SubmitRejected, match="waiting_max: full") as rejected:
            await a
        assert rejected.value.retry_after_ms == 9000 and now() < 4


@virtual
async def test_a_final_rejection_is_raised_at_once(scheduler: PlayedScheduler) -> None:
    async with client_of(retry_s=10) as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome(), RejectedSubmit("a", "bad_wav", None, "no RIFF"))
        with pytest.raises(SubmitRejected, match="bad_wav: no RIFF"):
            await a
        assert now() < 1


@virtual
async def test_jobs_given_back_by_a_stopping_scheduler_go_to_the_next_one(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        first.say(Accepted("a", "j-a"), RejectedSubmit("a", "stopping", 1000))
        await settle()
        assert submitted(first) == ["a"] and not a.done()
        first.cut()
        second = await scheduler.connected(2)
        second.say(welcome("g2"))
        await settle()
        assert submitted(second) == ["a"]
        second.say(result_of("a", 1))
        assert (await a).state == "completed"


@virtual
async def test_a_submit_that_waits_for_its_retry_is_not_sent_with_the_others(
    scheduler: PlayedScheduler,
) -> None:
    """It keeps its time over a reconnect; when cancelled, it is never sent."""
    async with client_of(retry_s=100) as client:
        a, b = asks(client, "a", "b")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        first.say(RejectedSubmit("a", "waiting_max", 5000), RejectedSubmit("b", "waiting_max", 5000))
        await settle()
        first.cut()
        second = await scheduler.connected(2)
        second.say(welcome())
        await asyncio.sleep(2)
        assert submitted(second) == []
        b.cancel()
        await asyncio.sleep(6)
        assert submitted(second) == ["a"]
        second.say(result_of("a", 1))
        assert (await a).state == "completed" and b.cancelled()


@virtual
async def test_the_bound_on_audio_is_checked_before_it_is_sent(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome(audio_bytes_max=5))
        await settle()
        assert submitted(first) == ["a"] and client.limits["audio_bytes_max"] == 5
        with pytest.raises(SubmitRejected, match="audio_too_large: 6 bytes are above audio_bytes_max = 5"):
            await client.submit(b"audio!", PAIR)
        assert submitted(first) == ["a"]
        a.cancel()


@virtual
async def test_a_request_id_names_one_submit(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        a, b = asks(client, "a", "a")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        assert submitted(first) == ["a"]
        for audio, pair in ((b"other", PAIR), (b"audio", "zh:fr")):
            with pytest.raises(SubmitRejected, match="request_id_conflict"):
                await client.submit(audio, pair, request_id="a")
        first.say(result_of("a", 1))
        assert (await a) is (await b)
        asks(client, "a")
        await settle()
        assert submitted(first) == ["a", "a"], "it has ended for this client: it is asked for again"


@virtual
async def test_at_most_in_flight_max_submits_are_in_flight(scheduler: PlayedScheduler) -> None:
    async with client_of(in_flight_max=2) as client:
        tasks = asks(client, "a", "b", "c", "d")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        assert submitted(first) == ["a", "b"]
        first.say(result_of("b", 1))
        await settle()
        assert submitted(first) == ["a", "b", "c"]
        first.say(RejectedSubmit("a", "bad_wav"))
        await settle()
        assert submitted(first) == ["a", "b", "c", "d"]
    assert isinstance(tasks[0].exception(), SubmitRejected)


@virtual
async def test_a_request_id_stands_for_one_submit(scheduler: PlayedScheduler) -> None:
    """The same submit waits for the same result; another one is refused here, without a word to the scheduler."""
    async with client_of() as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        (same,) = asks(client, "a")
        with pytest.raises(SubmitRejected) as refused:
            await client.submit(b"other audio", PAIR, request_id="a")
        assert (refused.value.reason, refused.value.retry_after_ms) == ("request_id_conflict", None)
        first.say(result_of("a", 1))
        assert await same is await a and submitted(first) == ["a"]


@virtual
async def test_a_client_can_be_closed_twice(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        await client.close()
        await client.close()
        with pytest.raises(ClientClosed):
            await client.submit(b"audio", PAIR)


async def test_why_is_asked_over_http_with_what_the_client_has(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        """Replaces the HTTP client."""

        def __init__(self, url: str, **options: object) -> None:
            self.given = (url, options)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None:
            """Nothing is open."""

        def why(self, job_id: str) -> object:
            return job_id, self.given

    monkeypatch.setattr(f"{Client.__module__}.HttpClient", Asked)
    client = Client("ws://h:1", token="t")
    assert await client.why("j-1") == ("j-1", ("ws://h:1", {"token": "t", "ca_file": None}))


@virtual
async def test_a_submit_has_the_trace_of_its_caller(
    scheduler: PlayedScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    monkeypatch.setattr(f"{Client.__module__}.current_trace", lambda: trace)
    async with client_of() as client:
        asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        assert [submit.trace for submit in first.of_kind(Submit)] == [trace]


@virtual
async def test_partial_results_come_while_the_job_runs(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        started = asyncio.create_task(client.start(b"audio", PAIR, request_id="a", partials=True))
        first = await scheduler.connected(1)
        first.say(welcome(), Accepted("a", "j-a"))
        job = await started
        assert [submit.partials for submit in first.of_kind(Submit)] == [True]
        first.say(Partial("a", "j-a", 1, 0, "good"), Partial("a", "j-old", 1, 9, "of another job"))
        seen = []
        async for partial in job.partials():
            seen.append(partial.output)
            first.say(result_of("a", 1))
        assert seen == ["good"] and (await job.result()).state == "completed"
