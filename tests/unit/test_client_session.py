"""The client's end of a session over breaking connections: what it sends again, in which order, when it gives up."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.played_client import PAIR, asks, client_of, now, result_of, submitted
from tests.unit.played_scheduler import GRACE_MS, PlayedScheduler, settle, welcome
from tests.unit.virtual import virtual
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.messages import Accepted, Ack, Error, Hello, Submit
from voxpool.scheduler.sdk import Client, ProtocolMismatch, Refused, SchedulerUnreachable
from voxpool.scheduler.sdk.wire.connection import OPEN_TIMEOUT_S, PING_S


@virtual
async def test_all_open_submits_are_sent_again_in_order(scheduler: PlayedScheduler) -> None:
    """Accepted ones too, since the next scheduler may not have them. Submits with a result are not sent."""
    async with client_of(session_id="s") as client:
        a, b, c = asks(client, "a", "b", "c")
        first = await scheduler.connected(1)
        hello = first.of_kind(Hello)[0]
        assert (hello.session_id, hello.resume, hello.in_order, hello.acks) == ("s", False, False, True)
        assert (hello.generation, hello.ack) == (None, 0)
        assert submitted(first) == []
        first.say(welcome("g1"))
        await settle()
        assert submitted(first) == ["a", "b", "c"]
        first.say(Accepted("c", "j-c"), Accepted("a", "j-a"), result_of("a", 1))
        await settle()
        assert (await a).output == "out of a"
        first.cut()
        second = await scheduler.connected(2)
        assert first.is_closed
        again = second.of_kind(Hello)[0]
        assert (again.session_id, again.resume, again.generation, again.ack) == ("s", True, "g1", 1)
        second.say(welcome("g1"))
        await settle()
        assert submitted(second) == ["b", "c"]
        second.say(result_of("c", 2), result_of("b", 3))
        assert ((await b).job_id, (await c).job_id) == ("j-b", "j-c")
        assert client.connects == 2


@virtual
async def test_a_client_shows_what_it_was_given(scheduler: PlayedScheduler) -> None:
    """Also when the scheduler comes later than the client."""
    scheduler.is_away = True
    async with client_of(session_id="s", token="t", in_order=True, ping_s=7.0) as client:
        (a,) = asks(client, "a")
        await asyncio.sleep(1)
        assert client.connects == 0 and client.limits == {}
        scheduler.is_away = False
        first = await scheduler.connected(1)
        (hello,) = first.of_kind(Hello)
        assert (hello.session_id, hello.token, hello.in_order, hello.resume) == ("s", "t", True, False)
        assert (scheduler.doors[0].url, scheduler.doors[0].ping_s) == ("ws://127.0.0.1:1/ws/session", 7.0)
        first.say(welcome(), result_of("a", 1))
        assert (await a).output == "out of a"
    async with client_of():
        second = await scheduler.connected(2)
        (hello,) = second.of_kind(Hello)
        assert (hello.token, hello.in_order) == (None, False) and hello.session_id != "s"


@virtual
async def test_a_file_of_certificates_that_can_not_be_read_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^ca_file /none/such\.pem: "):
        Client("wss://127.0.0.1:1", ca_file="/none/such.pem")


@virtual
async def test_a_refused_greeting_ends_the_client_with_its_reason(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(Error("unauthorized", "no such token"))
        with pytest.raises(Refused, match="unauthorized: no such token"):
            await a
        assert first.is_closed


@virtual
async def test_new_submits_follow_repeated_ones(scheduler: PlayedScheduler) -> None:
    """Also when the connection is slow, and breaks in between."""
    async with client_of() as client:
        tasks = asks(client, "a", "b")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        first.cut()
        second = await scheduler.connected(2)
        second.takes.clear()
        second.say(welcome())
        await settle()
        tasks += asks(client, "c")
        await settle()
        second.takes.set()
        await settle()
        assert submitted(second) == ["a", "b", "c"]
        tasks += asks(client, "d")
        await settle()
        assert submitted(second) == ["a", "b", "c", "d"]
        second.cut()
        third = await scheduler.connected(3)
        third.say(welcome())
        await settle()
        assert submitted(third) == ["a", "b", "c", "d"]
    assert [type(error).__name__ for error in await asyncio.gather(*tasks, return_exceptions=True)] == [
        "ClientClosed"
    ] * 4


@virtual
async def test_a_result_is_delivered_once(scheduler: PlayedScheduler) -> None:
    """It goes to its submit, or to on_result when none waits; a known number is dropped unless its job differs."""
    given: list[str] = []
    async with client_of(on_result=lambda result: given.append(result.request_id), resume=True) as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        assert first.of_kind(Hello)[0].resume
        first.say(welcome("g1"))
        await settle()
        first.say(result_of("a", 1), result_of("a", 1), result_of("old", 2), result_of("old", 2))
        await settle()
        assert (await a).output == "out of a" and given == ["old"]
        first.cut()
        second = await scheduler.connected(2)
        second.say(welcome("g2"), result_of("older", 1), result_of("unnumbered"), result_of("unnumbered"))
        await settle()
        assert given == ["old", "older", "unnumbered", "unnumbered"]
        assert a.result().job_id == "j-a"


@virtual
async def test_results_are_acknowledged_soon_and_by_the_next_submit(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        tasks = asks(client, "a", "b")
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        first.say(result_of("a", 1), result_of("b", 2))
        await settle()
        assert first.of_kind(Ack) == []
        await asyncio.sleep(0.1)
        assert first.of_kind(Ack) == [Ack(2)]
        tasks += asks(client, "c")
        await settle()
        first.say(result_of("c", 3))
        await settle()
        tasks += asks(client, "d")
        await settle()
        assert [submit.ack for submit in first.of_kind(Submit)] == [0, 0, 2, 3]
        await asyncio.sleep(0.2)
        assert first.of_kind(Ack) == [Ack(2)]
        first.say(result_of("d", 4))
        await settle()
        scheduler.is_away = True
        first.cut()
        await asyncio.sleep(1)
        scheduler.is_away = False
        second = await scheduler.connected(2)
        assert second.of_kind(Hello)[0].ack == 4
        second.say(welcome())
        await asyncio.sleep(1)
        assert second.of_kind(Ack) == [] and first.of_kind(Ack) == [Ack(2)]
    await asyncio.gather(*tasks)


@virtual
async def test_a_client_gives_up_a_missing_scheduler_after_its_patience(scheduler: PlayedScheduler) -> None:
    async with client_of(give_up_s=20) as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(welcome())
        await asyncio.sleep(100)
        scheduler.is_away = True
        lost_at = now()
        first.cut()
        with pytest.raises(SchedulerUnreachable, match=r"ws://127\.0\.0\.1:1/ws/session: nobody there"):
            await a
        assert now() - lost_at == pytest.approx(20)
        with pytest.raises(SchedulerUnreachable):
            await client.submit(b"audio", PAIR)


@virtual
async def test_attempts_are_frequent_enough_for_the_granted_grace(scheduler: PlayedScheduler) -> None:
    """There are at least four attempts while the scheduler keeps the session, at most 5 s apart."""
    async with client_of(give_up_s=60):
        first = await scheduler.connected(1)
        assert first.of_kind(Hello)[0].patience_ms == round((60 + 2 * PING_S + OPEN_TIMEOUT_S) * 1000)
        first.say(welcome(session_grace_ms=2000))
        await settle()
        scheduler.is_away = True
        first.cut()
        await asyncio.sleep(30)
        gaps = [after - before for before, after in zip(scheduler.tries[3:], scheduler.tries[4:], strict=False)]
        assert min(gaps) >= 0.25 and max(gaps) <= 0.5
        scheduler.is_away = False
        second = await scheduler.connected(2)
        second.say(welcome(session_grace_ms=GRACE_MS))
        await settle()
        scheduler.is_away = True
        tried = len(scheduler.tries)
        second.cut()
        await asyncio.sleep(50)
        gaps = [
            after - before for before, after in zip(scheduler.tries[tried:], scheduler.tries[tried + 1 :], strict=False)
        ]
        assert 2.5 <= max(gaps) <= 5


@virtual
async def test_a_scheduler_that_sends_no_welcome_is_left_and_tried_again(scheduler: PlayedScheduler) -> None:
    async with client_of(give_up_s=60):
        first = await scheduler.connected(1)
        second = await scheduler.connected(2)
        assert first.is_closed and OPEN_TIMEOUT_S < now() < OPEN_TIMEOUT_S + 0.2
        second.say(welcome())
        await asyncio.sleep(100)
        assert len(scheduler.connections) == 2 and not second.is_closed


@virtual
async def test_a_final_rejection_ends_the_client(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        first.say(Error("sessions_max", "full"))
        second = await scheduler.connected(2)
        second.say(welcome(), Error("unknown_job", "no job"))
        await settle()
        assert not a.done() and first.is_closed and not second.is_closed
        second.say(Error("unauthorized", "its token was removed"))
        with pytest.raises(Refused, match="its token was removed"):
            await a
        with pytest.raises(Refused):
            await client.submit(b"audio", PAIR)
        await asyncio.sleep(100)
        assert len(scheduler.connections) == 2 and second.is_closed


@virtual
async def test_another_protocol_ends_the_client(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        (a,) = asks(client, "a")
        first = await scheduler.connected(1)
        other = welcome()
        other.protocol = 99
        first.say(other)
        with pytest.raises(ProtocolMismatch, match="the scheduler speaks 99"):
            await a
