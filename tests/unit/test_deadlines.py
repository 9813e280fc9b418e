"""Deadlines: many keys, each due at most once."""

import asyncio
import weakref
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fakes import HandClock
from voxpool.scheduler.core.clock import Deadlines


@dataclass(eq=False)
class Thing:
    name: str
    deadline_ms: int = 0


def taken(deadlines: Deadlines[Thing], now_ms: int) -> list[str]:
    names = []
    while (thing := deadlines.take_due(now_ms)) is not None:
        names.append(thing.name)
    return names


def test_keys_are_due_in_the_order_of_their_deadlines() -> None:
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


def test_a_cleared_deadline_never_comes() -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock())
    things = [Thing(str(i)) for i in range(4)]
    for thing in things:
        deadlines.set(thing, 100)
    for thing in (things[0], things[2], things[2]):
        deadlines.clear(thing)
        assert thing.deadline_ms == 0
    assert len(deadlines) == 2 and taken(deadlines, 100) == ["1", "3"]
    assert len(deadlines) == 0 and deadlines.first() is None


def test_a_cleared_key_is_released_at_once_even_behind_an_earlier_deadline() -> None:
    """An earlier deadline, such as that of a waiting job, must not keep ended jobs in memory."""
    deadlines: Deadlines[Thing] = Deadlines(HandClock())
    deadlines.set(Thing("waits"), 10)
    thing = Thing("ended")
    deadlines.set(thing, 20)
    deadlines.set(thing, 60)
    deadlines.clear(thing)
    held = weakref.ref(thing)
    del thing
    assert held() is None and len(deadlines) == 1


NEVER = 0
STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(NEVER, 9)), max_size=60)


@given(STEPS)
def test_due_keys_match_a_simple_model(steps: list[tuple[int, int]]) -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock())
    things = [Thing(str(i)) for i in range(6)]
    wanted: dict[str, int] = {}
    for number, when_ms in steps:
        name = str(number)
        if wanted.get(name) == when_ms:
            deadlines.set(things[number], when_ms)
            continue
        wanted.pop(name, None)
        if when_ms == NEVER:
            deadlines.clear(things[number])
        else:
            deadlines.set(things[number], when_ms)
            wanted[name] = when_ms
        assert deadlines.next_ms() == min(wanted.values(), default=None)
    assert len(deadlines) == len(wanted)
    assert taken(deadlines, 9) == sorted(wanted, key=wanted.__getitem__)


async def test_a_sleeping_role_is_woken_by_an_earlier_deadline() -> None:
    clock = HandClock()
    deadlines: Deadlines[Thing] = Deadlines(clock)
    deadlines.set(Thing("late"), 3_600_000)
    sleeper = asyncio.create_task(deadlines.sleep_until_due())
    await asyncio.sleep(0)
    clock.ms = 10
    deadlines.set(Thing("early"), 10)
    await asyncio.wait_for(sleeper, 5)
    assert taken(deadlines, clock.now_ms()) == ["early"]


async def test_a_sleeping_role_wakes_after_its_own_limit() -> None:
    deadlines: Deadlines[Thing] = Deadlines(HandClock(ticks_ms=5))
    await asyncio.wait_for(deadlines.sleep_until_due(at_most_ms=5), 5)
    assert deadlines.next_ms() is None
