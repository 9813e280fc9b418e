"""What waits for an unavailable store is bounded, and the store finally gets the current state."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from tests.unit.rig import Link, Rig
from voxpool.scheduler.core import script_queue
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import NodeRefused, StoreUnavailable
from voxpool.scheduler.protocol.messages import Register
from voxpool.scheduler.sdk.errors import PASSING
from voxpool.scheduler.stores.memory import MemoryStore


class Away:
    """A memory store that is unavailable until `meanwhile`, called at each attempt, returns True."""

    def __init__(self, store: MemoryStore) -> None:
        self.restarts = 0
        self.meanwhile: Callable[[], bool] = lambda: True
        self._store = store

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        if not self.meanwhile():
            raise StoreUnavailable("away")
        return await self._store.run(calls)


def drawn(rig: Rig) -> bool:
    return bool(rig.store.dump().get("capacity"))


async def test_sweeps_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_queue, "BACKOFF_MS", (0, 0))
    store = MemoryStore()
    away = Away(store)
    rig = Rig(runner=away)
    rig.store = store
    await rig.node("n1")
    tries = iter(range(3600))

    def a_second_passes() -> bool:
        rig.clock.ms += 1000
        rig.core.leases.run_once()
        return next(tries, None) is None

    away.meanwhile = a_second_passes
    rig.core.leases.sweep_store()
    await rig.core.queue.run_once(rig.core.dispatcher)
    assert len(rig.core.queue) <= 5, "the sweep before it was known, and the node that fell silent"

    away.meanwhile = lambda: True
    await rig.pass_time(2)
    assert rig.core.queue.idle and not rig.store.dump().get("nodes"), "swept again"


async def test_repeated_drains_and_undrains_are_one_call_with_the_last_state() -> None:
    rig = Rig()
    node, _ = await rig.node("n1")
    for number in range(1001):
        rig.desk.drain(node, on=number % 2 == 0)
    assert len(rig.core.queue) == 1 and node.draining
    await rig.settle()
    assert not drawn(rig) and not node.flags_sent

    rig.desk.drain(node, on=False)
    rig.desk.drain(node, on=True)
    rig.desk.drain(node, on=False)
    await rig.settle()
    assert drawn(rig) and not node.flags_sent


@pytest.mark.parametrize("seed", range(20))
async def test_the_store_ends_with_the_flags_of_the_node_in_any_order(seed: int) -> None:
    rig = Rig()
    chance = random.Random(seed)
    node, _ = await rig.node("n1")
    for _ in range(400):
        step = chance.choice(("on", "off", "rest", "beat", "again", "flushed", "answers", "answers"))
        if step in ("on", "off"):
            rig.desk.drain(node, on=step == "on")
        elif step == "rest":
            rig.core.node_registry.rest(node, rig.clock.ms + 20_000, until_beat=True, reason="busy")
        elif step == "beat":
            rig.core.node_registry.beat(node)
        elif step == "again":
            rig.core.node_registry.register(node)
        elif step == "flushed":
            rig.store.clear()
            rig.core.node_registry.register(node)
        else:
            await rig.core.queue.run_once(rig.core.dispatcher)
        assert len(rig.core.queue) < 60
        if chance.random() < 0.05:
            await rig.settle()
            assert drawn(rig) is not bool(node.flags), (step, node)


async def test_nodes_are_rejected_while_too_much_waits_and_accepted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_queue, "BACKLOG_MAX", 3)
    rig = Rig()
    registers = [
        Register(node_id=f"n{number}", process_id="p", pairs=["zh:en"], slots=1, running=[]) for number in range(4)
    ]
    for register in registers[:3]:
        await rig.desk.joined(Link(), register)
    with pytest.raises(NodeRefused) as refused:
        await rig.desk.joined(Link(), registers[3])
    assert refused.value.reason == "store_behind" and refused.value.reason in PASSING

    await rig.settle()
    await rig.desk.joined(Link(), registers[3])
    await rig.settle()
    assert rig.store.census()["nodes"] == 4


async def test_short_failures_of_the_store_do_not_make_the_expected_wait_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It fails 100 times for 50 ms; that no job started then says nothing about the nodes, even if a caller asks in
    between.
    """
    monkeypatch.setattr(script_queue, "BACKOFF_MS", (0, 0))
    away = Away(MemoryStore())
    rig = Rig(runner=away)
    node, _ = await rig.node("n1")
    job = await rig.submit()
    await rig.pass_time(1)
    await rig.answer(node, job)
    for _ in range(3):
        await rig.submit()
    before = dict(rig.core.intake.expected_waits_ms())
    assert before["zh:en"] == pytest.approx(3000)

    def fails_once() -> bool:
        if rig.core.queue.is_repeating:
            rig.clock.ms = began_ms + 50
            dict(rig.core.intake.expected_waits_ms())
        return rig.core.queue.is_repeating

    for _ in range(100):
        began_ms, away.meanwhile = rig.clock.ms, fails_once
        rig.core.leases.sweep_store()
        await rig.core.queue.run_once(rig.core.dispatcher)
        away.meanwhile = lambda: True
        await rig.settle()
    assert dict(rig.core.intake.expected_waits_ms()) == pytest.approx(before)
