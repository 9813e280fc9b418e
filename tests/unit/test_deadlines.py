"""Deadlines: one heap for many things, each due at most once."""

import asyncio
from dataclasses import dataclass

from scheduler.deadlines import Deadlines
from tests.unit.fakes import HandClock


@dataclass
class Thing:
    name: str
    deadline_ms: int = 0


def taken(deadlines: Deadlines[Thing], now_ms: int) -> list[str]:
    names = []
    while (thing := deadlines.take_due(now_ms)) is not None:
        names.append(thing.name)
    return names


def test_things_come_due_in_the_order_of_their_deadlines() -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock())
    for name, when_ms in (("b", 20), ("a", 10), ("c", 30)):
        deadlines.set(Thing(name), when_ms)
    assert deadlines.next_ms() == 10
    assert taken(deadlines, 25) == ["a", "b"]
    assert taken(deadlines, 30) == ["c"]
    assert deadlines.next_ms() is None


def test_a_new_deadline_replaces_the_old_one() -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock())
    thing = Thing("a")
    deadlines.set(thing, 10)
    deadlines.set(thing, 50)
    assert taken(deadlines, 49) == []
    assert taken(deadlines, 50) == ["a"]


def test_a_cleared_deadline_never_comes_and_leaves_no_entry() -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock())
    for i in range(1000):
        thing = Thing(str(i))
        deadlines.set(thing, 100 + i)
        thing.deadline_ms = 0
    deadlines.set(Thing("last"), 5000)
    assert taken(deadlines, 4999) == []
    assert len(deadlines) == 1


async def test_a_sleeper_is_woken_by_an_earlier_deadline() -> None:
    clock = HandClock()
    deadlines: Deadlines[Thing] = Deadlines(clock)
    deadlines.set(Thing("late"), 3_600_000)
    sleeper = asyncio.create_task(deadlines.sleep_until_due())
    await asyncio.sleep(0)
    clock.ms = 10
    deadlines.set(Thing("early"), 10)
    await asyncio.wait_for(sleeper, 5)
    assert taken(deadlines, clock.now_ms()) == ["early"]


async def test_a_sleeper_wakes_after_its_own_bound() -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock(ticks_ms=5))
    await asyncio.wait_for(deadlines.sleep_until_due(at_most_ms=5), 5)
    assert deadlines.next_ms() is None
