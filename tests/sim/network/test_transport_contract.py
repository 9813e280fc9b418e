"""The transports in memory behave like asyncio's own: each case gives the same record on loopback and in memory."""

from __future__ import annotations

import asyncio
import errno

import pytest

from tests.sim.network.ends import Case, Ends, in_memory, on_loopback, until

PLENTY = 20_000_000
"""More bytes than the kernel's buffers hold."""


async def data_then_eof_closes_both_ends(ends: Ends) -> object:
    client, server = await ends.connect()
    client.transport.write(b"x" * 10)
    client.transport.write_eof()
    await until(lambda: client.is_lost and server.is_lost)
    return client.events, server.events, server.bytes


async def a_half_closed_connection_carries_data_back(ends: Ends) -> object:
    client, server = await ends.connect()
    server.stays_open_after_eof = True
    client.transport.write_eof()
    await until(lambda: "eof" in server.events)
    server.transport.write(b"answer")
    await until(lambda: client.bytes == 6)
    before = list(client.events)
    server.transport.close()
    await until(lambda: client.is_lost and server.is_lost)
    return before, client.events, server.events


async def close_sends_what_is_buffered(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    client.transport.write(b"x" * PLENTY)
    client.transport.close()
    closing = client.transport.is_closing(), client.transport.get_write_buffer_size() > 0
    server.transport.resume_reading()
    await until(lambda: client.is_lost and server.is_lost)
    return closing, client.events, server.events, server.bytes


async def abort_drops_what_is_buffered(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    client.transport.write(b"x" * PLENTY)
    client.transport.abort()
    await until(lambda: client.is_lost)
    server.transport.resume_reading()
    await until(lambda: server.is_lost)
    return client.events, server.events, 0 < server.bytes < PLENTY


async def a_pause_begins_above_high_and_ends_at_low(ends: Ends) -> object:
    client, server = await ends.connect()
    client.transport.set_write_buffer_limits(high=100_000, low=30_000)
    server.transport.pause_reading()
    written = 0
    while "paused" not in client.events:
        client.transport.write(b"x" * 10_000)
        written += 10_000
    size = client.sizes[0]
    server.transport.resume_reading()
    await until(lambda: server.bytes == written)
    return (
        list(client.events),
        100_000 < size <= 110_000,
        client.sizes[1] <= 30_000,
        client.transport.get_write_buffer_size(),
    )


async def limits_follow_one_another(ends: Ends) -> object:
    client, _ = await ends.connect()
    found = [client.transport.get_write_buffer_limits()]
    for limits in ({"high": 1000}, {"low": 500}, {"high": 0}):
        client.transport.set_write_buffer_limits(**limits)
        found.append(client.transport.get_write_buffer_limits())
    with pytest.raises(ValueError, match="must be >="):
        client.transport.set_write_buffer_limits(high=1, low=2)
    return found


async def a_paused_end_reads_nothing_until_it_resumes(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    states = [server.transport.is_reading()]
    client.transport.write(b"x" * 1000)
    client.transport.write_eof()
    await until(lambda: ends.unread(server) == 1000)
    before = list(server.events)
    server.transport.resume_reading()
    states.append(server.transport.is_reading())
    await until(lambda: "lost None" in server.events)
    return states, before, server.events, server.transport.is_reading()


async def a_close_with_unread_data_resets_the_peer(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    client.transport.write(b"x" * 1000)
    await until(lambda: ends.unread(server) == 1000)
    server.transport.close()
    await until(lambda: client.is_lost)
    return client.events, server.events


async def a_write_to_a_closed_peer_is_reset(ends: Ends) -> object:
    client, server = await ends.connect()
    client.stays_open_after_eof = True
    server.transport.close()
    await until(lambda: "eof" in client.events)
    client.transport.write(b"x")
    async with asyncio.timeout(10):
        while not client.is_lost:
            await asyncio.sleep(0.001)
            client.transport.write(b"x")
    return client.events, server.events


async def a_write_after_close_is_dropped(ends: Ends) -> object:
    client, server = await ends.connect()
    client.transport.close()
    client.transport.write(b"x")
    client.transport.close()
    await until(lambda: client.is_lost and server.is_lost)
    client.transport.write(b"x")
    client.transport.abort()
    return client.events, server.events, server.bytes


async def a_write_after_eof_raises(ends: Ends) -> object:
    client, _ = await ends.connect()
    client.transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        client.transport.write(b"x")
    return client.transport.can_write_eof()


async def eof_follows_what_is_buffered(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    client.transport.write(b"x" * PLENTY)
    client.transport.write_eof()
    server.transport.resume_reading()
    await until(lambda: client.is_lost and server.is_lost)
    return client.events, server.events, server.bytes


async def an_abort_with_unread_data_resets_the_peer(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    client.transport.write(b"x" * 1000)
    await until(lambda: ends.unread(server) == 1000)
    server.transport.abort()
    await until(lambda: client.is_lost)
    return client.events, server.events


async def a_reset_ends_a_close_that_still_sends(ends: Ends) -> object:
    client, server = await ends.connect()
    server.transport.pause_reading()
    client.transport.write(b"x" * PLENTY)
    client.transport.close()
    await until(lambda: ends.unread(server) > 0)
    server.transport.abort()
    await until(lambda: client.is_lost and server.is_lost)
    return client.events, server.events, client.transport.get_write_buffer_size()


async def a_port_without_a_listener_refuses(ends: Ends) -> object:
    _, server = await ends.connect()
    ends.server.close()
    try:
        await ends.connect_to(ends.port)
    except ConnectionRefusedError as error:
        refused = error.errno
    server.transport.write(b"x")  # the open connection stays
    await until(lambda: server.transport.get_write_buffer_size() == 0)
    return refused, list(server.events)


async def a_port_in_use_is_an_error(ends: Ends) -> object:
    with pytest.raises(OSError, match=r"(?i)address already in use") as raised:
        await ends.listen()
    return raised.value.errno == errno.EADDRINUSE


async def both_ends_know_both_addresses(ends: Ends) -> object:
    client, server = await ends.connect()
    names = [end.transport.get_extra_info(name) for end in (client, server) for name in ("sockname", "peername")]
    return names[0] == names[3], names[1] == names[2], names[1][1] == ends.port


CASES = [
    data_then_eof_closes_both_ends,
    a_half_closed_connection_carries_data_back,
    close_sends_what_is_buffered,
    abort_drops_what_is_buffered,
    a_pause_begins_above_high_and_ends_at_low,
    limits_follow_one_another,
    a_paused_end_reads_nothing_until_it_resumes,
    a_close_with_unread_data_resets_the_peer,
    a_write_to_a_closed_peer_is_reset,
    a_write_after_close_is_dropped,
    a_write_after_eof_raises,
    eof_follows_what_is_buffered,
    an_abort_with_unread_data_resets_the_peer,
    a_reset_ends_a_close_that_still_sends,
    a_port_without_a_listener_refuses,
    a_port_in_use_is_an_error,
    both_ends_know_both_addresses,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_connection_in_memory_behaves_like_one_on_loopback(case: Case) -> None:
    """The callbacks come in the same order, with the same sizes and errors."""
    assert in_memory(case) == on_loopback(case)


@pytest.mark.parametrize("case", CASES[:4] + CASES[9:12], ids=lambda case: case.__name__)
def test_reads_may_end_at_any_byte(case: Case) -> None:
    """A network that cuts reads changes the number of reads only."""
    assert in_memory(case, cuts_reads=True) == on_loopback(case)
