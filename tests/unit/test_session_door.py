"""The endpoint of sessions: admission, the connection of a session, and the lifetime of a session without one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.session_rig import PAIR, WAV, Place
from tests.unit.virtual import virtual
from voxpool.scheduler.protocol.messages import Accepted, Ack, Error, Hello, JobResult, RejectedSubmit, Welcome
from voxpool.scheduler.security.authentication import Authentication
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.security.tokens import Tokens


def events(place: Place, name: str) -> list[dict[str, Any]]:
    return [line for line in place.logged if str(line["event"]) == name]


@virtual
async def test_a_welcome_has_the_limits_and_a_session_id() -> None:
    place = Place(audio_bytes_max=5000, output_bytes_max=4000, unacknowledged_max=7, session_grace_s=30.0)
    given, other = await place.connect(Hello()), await place.connect(Hello())
    (welcome,) = given.of_kind(Welcome)
    assert welcome.limits == {
        "audio_bytes_max": 5000,
        "output_bytes_max": 4000,
        "session_grace_ms": 30_000,
        "unacknowledged_max": 7,
    }
    assert welcome.session_id.startswith("s-") and given.is_known
    (second,) = other.of_kind(Welcome)
    assert welcome.session_id != second.session_id and welcome.generation != second.generation
    assert len(place.door) == 2
    opened = [(line["session_id"], line["peer"]) for line in events(place, "session_opened")]
    assert opened == [(welcome.session_id, given.peer), (second.session_id, other.peer)]
    given.submit("a")
    assert place.job("a").session_id == welcome.session_id


@virtual
async def test_what_came_with_the_hello_is_served_at_once() -> None:
    place = Place()
    client = await place.connect()
    client.say(Hello())
    client.submit("a", "b", "c")
    await asyncio.sleep(0.001)
    assert [one.request_id for one in client.of_kind(Accepted)] == ["a", "b", "c"]


@virtual
async def test_a_connection_without_a_hello_is_closed() -> None:
    place = Place(greeting_s=5.0)
    silent = await place.connect()
    gone = await place.connect()
    gone.leave()
    await asyncio.sleep(4.9)
    assert silent.cut_off == ""
    await asyncio.sleep(0.2)
    assert silent.cut_off == "no_greeting" and gone.cut_off == "" and len(place.door) == 0


@pytest.mark.parametrize(("message", "reason"), [(Ack(1), "hello_first"), (Hello(protocol=2), "bad_protocol")])
@virtual
async def test_another_first_message_is_rejected(message: Any, reason: str) -> None:
    place = Place()
    client = await place.connect(message)
    assert [error.reason for error in client.of_kind(Error)] == [reason]
    assert client.closed == (1008, reason) and len(place.door) == 0 and not client.is_known
    assert [line["reason"] for line in events(place, "bad_message")] == [reason]


@virtual
async def test_a_caller_without_the_role_is_rejected() -> None:
    place = Place()
    node = await place.connect(Hello(), caller=Caller("n", Role.NODE))
    nobody = await place.connect(Hello(), caller=None)
    assert [error.reason for error in (*node.of_kind(Error), *nobody.of_kind(Error))] == ["forbidden", "unauthorized"]
    assert (node.closed, nobody.closed) == ((1008, "forbidden"), (1008, "unauthorized"))
    assert place.refusals.of == {"connection forbidden": 1, "connection unauthorized": 1} and not node.is_known


@virtual
async def test_the_connections_of_a_removed_token_are_closed() -> None:
    place = Place()
    stays, goes = Caller("stays", Role.CLIENT, digest="00" * 32), Caller("goes", Role.CLIENT, digest="11" * 32)
    authentication = Authentication(Tokens([stays, goes]))
    first, second = [
        await place.connect(Hello(session_id="s"), caller=caller, authentication=authentication)
        for caller in (stays, goes)
    ]
    assert authentication.connections == 2
    assert authentication.replace(Tokens([stays])) == 1
    assert (first.closed, second.closed) == (None, (4001, "token_removed"))
    await asyncio.sleep(0.001)
    assert authentication.connections == 1


@virtual
async def test_the_number_of_new_sessions_is_bounded() -> None:
    place = Place(sessions_max=2, retry_after_s=3.0)
    first, second = await place.client(session_id="a"), await place.client(session_id="b")
    third = await place.client(session_id="c")
    assert [(error.reason, error.retry_after_ms) for error in third.of_kind(Error)] == [("sessions_max", 3000)]
    assert third.closed == (1008, "sessions_max") and place.refusals.of["connection sessions_max"] == 1
    second.leave()
    await asyncio.sleep(1)
    again = await place.client(session_id="b", resume=True)
    assert again.of_kind(Welcome) and len(place.door) == 2
    first.leave(goodbye=True)
    await asyncio.sleep(0.1)
    assert (await place.client(session_id="c")).of_kind(Welcome)


@virtual
async def test_a_stopping_scheduler_accepts_known_sessions_only() -> None:
    """It gives back what it can't do: the submit is rejected, to be sent to the next scheduler."""
    place = Place(retry_after_s=2.0)
    client = await place.client()
    client.submit("a", "b")
    place.rate_limit.stopping = True
    new = await place.client(session_id="new")
    assert [(error.reason, error.retry_after_ms) for error in new.of_kind(Error)] == [("stopping", 2000)]
    assert new.closed == (1012, "stopping")
    client.submit("c")
    place.dispatcher.end(place.job("a"), "cancelled", reason="stopping")
    assert [(one.request_id, one.reason, one.retry_after_ms) for one in client.of_kind(RejectedSubmit)] == [
        ("c", "stopping", 2000),
        ("a", "stopping", 2000),
    ]
    client.leave()
    back = await place.back(client, ack=0)
    assert [one.request_id for one in back.of_kind(RejectedSubmit)] == ["a"] and back.results == []


@virtual
async def test_a_second_connection_replaces_the_first() -> None:
    """Messages of the first one no longer count, and its end has no effect."""
    place = Place(session_grace_s=30.0)
    first = await place.client()
    first.submit("a")
    second = await place.client(resume=True)
    assert first.closed == (4000, "replaced")
    assert len(place.door) == 1
    first._on_frame = None
    await asyncio.sleep(100)
    await place.end("a")
    assert second.results == [(1, "a")] and first.of_kind(JobResult) == []
    assert len(events(place, "session_closed")) == 1


@virtual
async def test_messages_of_a_replaced_connection_are_dropped() -> None:
    place = Place()
    first = await place.client()
    on_frame = first._on_frame
    await place.client(resume=True)
    first._on_frame = on_frame
    first.submit("late")
    assert place.rig.core.table.find_request("late") is None and first.refusals == []


@virtual
async def test_a_session_outlives_its_connection_for_its_grace() -> None:
    place = Place(session_grace_s=30.0)
    first = await place.client()
    first.submit("a")
    first.leave()
    await asyncio.sleep(29.9)
    second = await place.back(first, ack=0)
    await asyncio.sleep(100)
    assert not place.job("a").ended and len(place.door) == 1, "who came back is not given up"
    second.leave()
    await asyncio.sleep(29.9)
    assert not place.job("a").ended
    await asyncio.sleep(0.2)
    assert (place.job("a").state, place.job("a").reason) == ("cancelled", "session_gone")
    assert len(place.door) == 0 and len(place.results) == 0
    third = await place.back(first, ack=0)
    assert third.of_kind(Welcome)[0].generation != first.of_kind(Welcome)[0].generation


@pytest.mark.parametrize(("patience_ms", "granted_ms"), [(None, 30_000), (5000, 5000), (0, 0), (60_000, 30_000)])
@virtual
async def test_the_grace_is_as_requested_within_the_bound(patience_ms: int | None, granted_ms: int) -> None:
    place = Place(session_grace_s=30.0)
    client = await place.client(patience_ms=patience_ms)
    assert client.of_kind(Welcome)[0].limits["session_grace_ms"] == granted_ms
    client.submit("a")
    client.leave()
    await asyncio.sleep(max(0.0, granted_ms / 1000 - 0.1))
    assert place.job("a").ended == (granted_ms == 0)
    await asyncio.sleep(0.2)
    assert place.job("a").ended


@virtual
async def test_a_client_that_says_goodbye_is_given_up_at_once() -> None:
    """Jobs that another session waits for, and jobs of other sessions, are not given up."""
    place = Place()
    client, other = await place.client(), await place.client(session_id="other")
    client.submit("a", "shared")
    other.submit("shared", "others")
    client.submit("others")
    client.leave(goodbye=True)
    await asyncio.sleep(0.001)
    assert place.job("a").reason == "session_gone"
    assert not place.job("shared").ended and not place.job("others").ended
    await place.end("shared", "others")
    assert other.results == [(1, "shared"), (2, "others")]
    (closed,) = events(place, "session_closed")
    assert (closed["session_id"], closed["goodbye"], closed["unfinished"]) == ("s", True, 2)


@virtual
async def test_results_are_not_sent_into_a_closed_session_while_a_gap_was_watched() -> None:
    place = Place(in_order_grace_s=5.0)
    client = await place.client(in_order=True)
    client.submit("a", "b")
    await place.end("b")
    client.leave(goodbye=True)
    await asyncio.sleep(20)
    assert client.results == [] and len(place.door) == 0


@virtual
async def test_the_next_welcome_has_the_reason_of_the_last_close() -> None:
    place = Place()
    first = await place.client()
    first.abort("send_stall")
    await asyncio.sleep(0.1)
    second = await place.back(first, ack=0)
    assert second.of_kind(Welcome)[0].cut_off == "send_stall"
    second.leave()
    await asyncio.sleep(0.1)
    assert (await place.back(first, ack=0)).of_kind(Welcome)[0].cut_off is None


@virtual
async def test_sessions_of_two_callers_with_one_id_are_distinct() -> None:
    place = Place()
    one = await place.connect(Hello(session_id="s"), caller=Caller("one", Role.CLIENT))
    two = await place.connect(Hello(session_id="s"), caller=Caller("two", Role.CLIENT))
    assert one.closed is None and len(place.door) == 2
    one.submit("a")
    two.submit("a")
    assert place.job("a", "one") is not place.job("a", "two")
    assert (place.job("a", "one").session_id, place.job("a", "one").owner) == ("s", "one")


@virtual
async def test_a_submit_becomes_the_requested_job() -> None:
    place = Place()
    client = await place.client()
    fields = {"timeout_ms": 7000, "session_affinity": True, "attempts_max": 3, "backoff_ms": 250, "why": True}
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    client.submit("a", trace=trace, **fields)
    job = place.job("a")
    assert (job.pair, job.audio, job.request_id, job.session_id) == (PAIR, WAV, "a", "s")
    assert (job.expires_ms - job.submitted_ms, job.affinity) == (7000, True)
    assert (job.limits.attempts_max, job.limits.backoff_ms) == (3, 250)
    assert job.trace.split("-")[1] == trace.split("-")[1]
    assert place.rig.why.of(job.job_id) is not None
    client.submit("b", trace="nonsense")
    assert place.job("b").trace == "" and place.rig.why.of(place.job("b").job_id) is None


@virtual
async def test_the_affinity_of_a_session_ends_with_it() -> None:
    place = Place()
    client = await place.client()
    client.submit("a", session_affinity=True)
    await place.end("a")
    affinity = place.dispatcher.affinity
    assert (len(affinity), affinity.node_of(place.job("a").session_key)) == (1, "n1")
    client.leave(goodbye=True)
    await asyncio.sleep(0.001)
    assert len(affinity) == 0 and affinity.node_of(place.job("a").session_key) == ""


@virtual
async def test_a_result_that_was_sent_again_is_kept_until_it_is_acknowledged() -> None:
    """The connection may break before it arrives, more than once."""
    place = Place()
    first = await place.client()
    first.submit("a")
    await place.end("a")
    first.leave()
    for _ in range(2):
        again = await place.back(first, ack=0)
        assert again.results == [(1, "a")]
        again.leave()
    assert (await place.back(first, ack=1)).results == []
