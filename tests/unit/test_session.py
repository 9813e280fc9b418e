"""A session over its connections: the results that its client gets, their numbers, their order, and their times."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from tests.unit.session_rig import Place, Socket
from tests.unit.virtual import virtual
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.errors import Rejected
from voxpool.scheduler.protocol.messages import Accepted, Ack, CancelJob, Error, JobResult, Submit, Welcome
from voxpool.scheduler.web.sessions.session import BAD_MESSAGES_MAX, CATCH_UP_BYTES


@virtual
async def test_a_result_is_sent_with_all_its_fields() -> None:
    place = Place()
    client = await place.client()
    client.submit("a", "a")
    assert [one.request_id for one in client.of_kind(Accepted)] == ["a", "a"]
    await place.end("a")
    (result,) = client.of_kind(JobResult)
    job = place.job("a")
    assert (result.job_id, result.request_id, result.state, result.attempts) == (job.job_id, "a", "completed", 1)
    assert (result.output, result.error, result.detail, result.retryable) == ("out of a", None, "", False)
    assert (result.number, result.times_ms) == (1, job.times_ms)
    assert len(place.results) == 0


@virtual
async def test_a_failure_has_a_reason_and_says_whether_to_retry() -> None:
    place = Place()
    client = await place.client()
    client.submit("a")
    place.dispatcher.end(place.job("a"), "failed", reason="redispatch_max", detail="ValueError: no")
    (result,) = client.of_kind(JobResult)
    assert (result.state, result.error, result.detail) == ("failed", "redispatch_max", "ValueError: no")
    assert result.retryable == place.job("a").retryable and result.output is None


@virtual
async def test_a_reconnected_client_gets_its_unacknowledged_results() -> None:
    """It gets results of the time of its absence and unacknowledged ones, in the order of the numbers, none twice."""
    place = Place()
    first = await place.client()
    first.submit("a", "b", "c", "d")
    await place.end("a", "b")
    assert first.results == [(1, "a"), (2, "b")]
    first.leave()
    await asyncio.sleep(1)
    await place.end("c")
    second = await place.back(first, ack=1)
    assert second.results == [(2, "b"), (3, "c")]
    assert second.of_kind(Welcome)[0].generation == first.of_kind(Welcome)[0].generation
    await place.end("d")
    assert second.results == [(2, "b"), (3, "c"), (4, "d")]
    second.say(Ack(4))
    second.leave()
    third = await place.back(first, ack=0)
    assert third.results == [], "an acknowledgement is not taken back"


@virtual
async def test_a_client_that_does_not_resume_gets_new_results_only() -> None:
    place = Place()
    first = await place.client()
    first.submit("a", "b")
    await place.end("a")
    first.leave()
    second = await place.client(resume=False)
    assert second.results == []
    await place.end("b")
    assert second.results == [(2, "b")]


@virtual
async def test_a_client_without_acknowledgements_gets_each_result_once() -> None:
    """Sent results count as received; all results of the time of its absence come after the reconnect."""
    place = Place()
    first = await place.client(acks=False)
    first.submit("a", "b", "c")
    await place.end("a")
    first.leave()
    await asyncio.sleep(1)
    await place.end("b", "c")
    second = await place.client(acks=False, resume=True)
    assert second.results == [(2, "b"), (3, "c")]
    second.leave()
    third = await place.client(acks=False, resume=True)
    assert third.results == []


@virtual
async def test_a_client_that_was_elsewhere_gets_what_it_asks_for_again() -> None:
    """It has got "a" and "b" there, one of which ends here late; it asks for "c" and "d" again."""
    place = Place()
    first = await place.client(in_order=True)
    first.submit("a", "b", "c", "d")
    first.leave()
    await asyncio.sleep(1)
    await place.end("a", "c")
    second = await place.client(resume=True, generation="another", ack=7)
    assert second.results == []
    await place.end("b")
    second.submit("c", "d")
    await place.end("d")
    assert [name for _, name in second.results] == ["c", "d"]
    assert len(place.results) == 0


@virtual
async def test_what_is_accepted_late_is_not_for_a_client_that_was_elsewhere_since() -> None:
    """The store answers for "a" and "b" after the client has come back; it asks for "a" again."""
    place, late = Place(), list[tuple[Job, Any, Any]]()
    place.dispatcher.when_accepted = lambda *waiter: late.append(waiter)  # type: ignore[method-assign]
    first = await place.client()
    first.submit("a", "b")
    first.leave()
    await asyncio.sleep(1)
    second = await place.client(resume=True, generation="another", ack=7)
    (job, accepted, _), (_, _, refused) = late
    await place.end("a")
    accepted(job)
    refused(Rejected("store_unavailable", "", 1000))
    assert len(second.got) == 1, "the welcome"
    second.submit("a")
    late[-1][1](job)
    assert second.results == [(1, "a")]


@virtual
async def test_an_acknowledgement_in_hello_above_the_last_result_is_one_of_all() -> None:
    place = Place()
    first = await place.client()
    first.submit("a")
    await place.end("a")
    first.leave()
    second = await place.back(first, ack=1000)
    assert second.results == []


@virtual
async def test_an_acknowledgement_of_an_unsent_result_is_an_error() -> None:
    place = Place()
    client = await place.client()
    client.say(Ack(1))
    client.submit("a", ack=7)
    assert [error.reason for error in client.of_kind(Error)] == ["bad_ack"]
    assert client.refusals == [("a", "bad_ack")]


@virtual
async def test_many_results_are_repeated_in_acknowledged_parts() -> None:
    """New results wait behind them."""
    place = Place()
    first = await place.client()
    names = [f"r{number}" for number in range(6)]
    first.submit(*names, "last")
    first.leave()
    await asyncio.sleep(1)
    half = CATCH_UP_BYTES // 2
    await place.end()
    for name in names:
        await place.rig.answer(place.rig.core.node_registry.find("n1"), place.job(name), "x" * half)  # type: ignore[arg-type]
    second = await place.back(first, ack=0)
    assert [number for number, _ in second.results] == [1, 2]
    await place.end("last")
    second.say(Ack(1))
    assert [number for number, _ in second.results] == [1, 2], "a part is sent when the one before it has arrived whole"
    second.say(Ack(2))
    assert [number for number, _ in second.results] == [1, 2, 3, 4]
    second.submit("new", ack=4)
    assert [number for number, _ in second.results] == [1, 2, 3, 4, 5, 6]
    second.say(Ack(6))
    assert second.results[6:] == [(7, "last")]
    second.say(Ack(7))
    await place.end("new")
    assert second.results[7:] == [(8, "new")]


@virtual
async def test_a_result_whose_job_was_forgotten_is_skipped() -> None:
    place = Place()
    first = await place.client()
    first.submit("a", "b")
    first.leave()
    await asyncio.sleep(1)
    await place.end("a")
    place.rig.clock.ms += round(place.settings.retention_s * 1000) + 1
    await place.end("b")
    while place.rig.core.table.find_request("a") is not None:
        place.rig.core.retention.run_once()
    second = await place.back(first, ack=0)
    assert second.results == [(2, "b")]


@virtual
async def test_in_order_a_result_waits_for_the_one_before_it_for_its_grace() -> None:
    """Each gap is skipped at its own time; the missing results come late."""
    place = Place(in_order_grace_s=10.0)
    client = await place.client(in_order=True)
    client.submit("a", "b", "c", "d")
    await place.end("b")
    await asyncio.sleep(4)
    await place.end("d")
    await asyncio.sleep(5.9)
    assert client.results == []
    await asyncio.sleep(0.2)
    assert client.results == [(1, "b")]
    await asyncio.sleep(3.8)
    assert client.results == [(1, "b")]
    await asyncio.sleep(0.2)
    assert client.results == [(1, "b"), (2, "d")]
    await place.end("c", "a")
    assert client.results == [(1, "b"), (2, "d"), (3, "c"), (4, "a")]


@virtual
async def test_a_gap_that_closes_by_itself_leaves_the_next_gap_its_full_grace() -> None:
    place = Place(in_order_grace_s=10.0)
    client = await place.client(in_order=True)
    client.submit("a", "b", "c", "d")
    await place.end("b")
    await asyncio.sleep(9)
    await place.end("a")
    assert client.results == [(1, "a"), (2, "b")]
    await place.end("d")
    await asyncio.sleep(9.9)
    assert client.results == [(1, "a"), (2, "b")]
    await asyncio.sleep(0.2)
    assert client.results == [(1, "a"), (2, "b"), (3, "d")]


@virtual
async def test_the_grace_of_a_gap_continues_without_the_client() -> None:
    place = Place(in_order_grace_s=10.0)
    first = await place.client(in_order=True)
    first.submit("a", "b", "c", "d")
    await place.end("b")
    first.leave()
    await asyncio.sleep(8)
    second = await place.back(first, ack=0, in_order=True)
    second.submit("a", "b", "c", "d")
    assert second.results == []
    await asyncio.sleep(2.1)
    assert second.results == [(1, "b")]
    second.say(Ack(1))
    await place.end("d")
    second.leave()
    await asyncio.sleep(11)
    await place.end("c")
    third = await place.back(first, ack=1, in_order=True)
    assert third.results == [(2, "d"), (3, "c")]


@virtual
async def test_a_client_that_gives_up_its_order_gets_the_buffered_results() -> None:
    place = Place(in_order_grace_s=10.0)
    first = await place.client(in_order=True)
    first.submit("a", "b")
    await place.end("b")
    first.leave()
    await asyncio.sleep(1)
    second = await place.back(first, ack=0, in_order=False)
    assert second.results == [(1, "b")]
    await asyncio.sleep(20)
    await place.end("a")
    assert second.results == [(1, "b"), (2, "a")]


@virtual
async def test_only_jobs_of_the_session_can_be_cancelled() -> None:
    place = Place()
    client, other = await place.client(), await place.client(session_id="other")
    client.submit("a")
    other.say(CancelJob(client.job_id("a")))
    other.say(CancelJob("j-unknown"))
    assert [error.reason for error in other.of_kind(Error)] == ["unknown_job", "unknown_job"]
    assert not place.job("a").ended
    client.say(CancelJob(client.job_id("a")))
    assert [result.state for result in client.of_kind(JobResult)] == ["cancelled"]


@virtual
async def test_a_session_that_acknowledges_nothing_is_rejected_past_its_bound() -> None:
    """A submit of a known request is still accepted; forgotten results make room."""
    place = Place(unacknowledged_max=2)
    client = await place.client()
    client.submit("a", "b", "c")
    await place.end("a", "b")
    client.submit("d", "c")
    assert client.refusals == [("d", "unacknowledged_max")]
    assert [one.request_id for one in client.of_kind(Accepted)] == ["a", "b", "c", "c"]
    assert place.refusals.of["unacknowledged_max"] == 1
    client.submit("e", ack=1)
    assert client.refusals == [("d", "unacknowledged_max")]
    await place.end("c")
    place.rig.clock.ms += round(place.settings.retention_s * 1000) + 1
    while place.rig.core.table.find_request("c") is not None:
        place.rig.core.retention.run_once()
    client.submit("f")
    assert client.refusals == [("d", "unacknowledged_max")]


@virtual
async def test_a_failure_in_flight_to_the_client_is_not_started_anew() -> None:
    place = Place()
    first = await place.client()
    first.submit("a")
    place.dispatcher.end(place.job("a"), "failed", reason="waiting_timeout")
    job_id = place.job("a").job_id
    first.submit("a")
    assert first.job_id("a") == job_id, "it has no acknowledgement: the client will ask for it"
    first.say(Ack(1))
    first.submit("a")
    assert first.job_id("a") != job_id


@virtual
async def test_invalid_messages_are_answered_and_too_many_end_the_connection() -> None:
    place = Place()
    client = await place.client()
    client.say(Submit("a", "zh:en", b"no wav"))
    assert client.refusals == [("a", "not_audio")] and place.refusals.of["not_audio"] == 1
    client.write(msgspec.msgpack.encode({"type": "submit", "request_id": "b", "pair": 7, "audio": b""}))
    assert client.refusals[1:] == [("b", "bad_pair")], "it can't be decoded, but it is known which one it is"
    for _ in range(BAD_MESSAGES_MAX - 1):
        client.write(b"\xc1")
    assert [client.closed] == [None]
    client.write(b"\xc1")
    assert client.closed == (1008, "too many bad messages")
    assert len(client.of_kind(Error)) == BAD_MESSAGES_MAX
    assert [str(line["event"]) for line in place.logged].count("bad_message") == BAD_MESSAGES_MAX


@virtual
async def test_json_is_answered_in_json() -> None:
    place = Place()
    socket: Socket = await place.connect()
    socket.binary = False
    socket.write(b'{"type": "hello", "session_id": "s"}')
    await asyncio.sleep(0.001)
    assert [welcome.session_id for welcome in socket.of_kind(Welcome)] == ["s"]
    socket.submit("a")
    assert socket.job_id("a") == place.job("a").job_id
