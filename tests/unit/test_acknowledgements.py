"""A client's acknowledgements of results: with a submit, else soon and together; numbers count in their generation."""

from __future__ import annotations

import asyncio

from voxpool.scheduler.sdk.wire.acknowledgements import ACK_RESULTS, Acknowledgements


async def test_results_of_a_short_time_are_acknowledged_together() -> None:
    message: asyncio.Queue[int] = asyncio.Queue()
    acks = Acknowledgements(message.put_nowait)
    acks.welcomed("g")
    for number in (1, 2, 3):
        acks.was_handled(number)
    assert message.empty()
    assert await asyncio.wait_for(message.get(), 30) == 3


async def test_a_submit_carries_the_acknowledgement() -> None:
    message: list[int] = []
    acks = Acknowledgements(message.append)
    acks.welcomed("g")
    acks.was_handled(1)
    assert acks.said_by_submit() == 1
    acks._is_due()
    assert message == []


async def test_many_results_are_acknowledged_at_once() -> None:
    message: list[int] = []
    acks = Acknowledgements(message.append)
    acks.welcomed("g")
    for number in range(1, ACK_RESULTS + 1):
        acks.was_handled(number)
    assert message == [ACK_RESULTS]
    acks.was_handled(ACK_RESULTS + 1)
    assert message == [ACK_RESULTS], "it is the first one again"
    acks.stop()


async def test_a_number_counts_once_in_its_generation() -> None:
    acks = Acknowledgements(lambda number: None)
    acks.welcomed("g")
    acks.was_handled(1)
    acks.welcomed("g")
    assert acks.came_before(1) and not acks.came_before(2) and not acks.came_before(None)
    acks.welcomed("h")
    assert not acks.came_before(1) and acks.handled == 0
    acks.stop()
