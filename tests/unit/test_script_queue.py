"""The script queue: calls in order, one flush at a time, repeated until answered; a lost answer loses nothing."""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from tests.unit.fakes import NO_SELECTS, HandClock, NoSelects
from tests.unit.rig import Rig
from tests.unit.virtual import virtual
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, DISPATCHED, WAITING
from voxpool.scheduler.core.script_queue import CALLS_MAX, Outages, ScriptQueue
from voxpool.scheduler.core.scripts import ScriptCall, drain_node
from voxpool.scheduler.core.seams import Observer, ScriptRunner
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.protocol.messages import NodeResult


class Recorder:
    """Answers every call with [OK …] and remembers the flushes."""

    restarts = 0

    def __init__(self) -> None:
        self.flushes: list[list[ScriptCall]] = []

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        self.flushes.append(list(calls))
        return [["OK"] * max(1, (len(call.args) - 2) // 2) for call in calls]


class LosesAnswers:
    """Runs the calls on another store, but the answers of the first `losses` flushes with a `script` get lost."""

    restarts = 0

    def __init__(self, script: str, losses: int) -> None:
        self.store: ScriptRunner | None = None
        self.script = script
        self.losses = losses

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        assert self.store is not None
        answers = await self.store.run(calls)
        if self.losses and any(call.name == self.script for call in calls):
            self.losses -= 1
            raise StoreUnavailable("the answer was lost")
        return answers


def queue_on(runner: ScriptRunner) -> ScriptQueue:
    return ScriptQueue(runner, HandClock(1000), 45_000, Observer(), Outages(Settings()), lambda: None)


async def test_calls_are_sent_in_order_and_adjacent_ones_of_a_kind_are_merged() -> None:
    runner = Recorder()
    queue = queue_on(runner)
    words: list[str] = []
    queue.release("j-1|1")
    queue.release("j-2|1")
    queue.heartbeat("n1", "g1", words.append)
    queue.heartbeat("n2", "g2", words.append)
    queue.call(drain_node("n1", "g1", "d", True), lambda answer: words.append(answer[0]))
    queue.release("j-3|1")
    assert await queue.run_once(NO_SELECTS) and not await queue.run_once(NO_SELECTS)
    assert [(call.name, call.args) for call in runner.flushes[0]] == [
        ("release_job", ["j-1|1", "j-2|1"]),
        ("heartbeat", ["1000", "45000", "n1", "g1", "n2", "g2"]),
        ("drain_node", ["n1", "g1", "d", "1"]),
        ("release_job", ["j-3|1"]),
    ]
    assert words == ["OK", "OK", "OK"]


@virtual
async def test_beats_wait_for_each_other_or_for_any_other_call() -> None:
    runner, words = Recorder(), list[str]()
    queue = queue_on(runner)
    queue.gather_beats_s = 0.25
    loop, role = asyncio.get_running_loop(), asyncio.ensure_future(queue.run_forever(NO_SELECTS))
    await asyncio.sleep(1)
    queue.heartbeat("n1", "g1", words.append)
    await asyncio.sleep(0.2)
    queue.heartbeat("n2", "g2", words.append)
    assert runner.flushes == []
    await asyncio.sleep(0.06)
    assert [[call.name for call in flush] for flush in runner.flushes] == [["heartbeat"]] and words == ["OK", "OK"]
    queue.heartbeat("n1", "g1", words.append)
    queue.release("j|1")
    await asyncio.sleep(0.01)
    assert [call.name for call in runner.flushes[1]] == ["heartbeat", "release_job"]
    await asyncio.sleep(1)
    queue.heartbeat("n2", "g2", words.append)
    ended_s = loop.time()
    role.cancel()
    await asyncio.wait([role])
    await asyncio.sleep(1)
    assert len(runner.flushes) == 2 and loop.time() == ended_s + 1, "nothing is sent after the end"


async def test_each_call_must_have_its_answer() -> None:
    class Short(Recorder):
        async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
            return (await super().run(calls))[:-1]

    queue = queue_on(Short())
    queue.call(drain_node("n1", "g1", "d", True), lambda answer: None)
    with pytest.raises(ValueError, match="shorter"):
        await queue.run_once(NO_SELECTS)


@virtual
async def test_a_flush_without_an_answer_is_repeated_after_doubled_pauses_up_to_a_second() -> None:
    tries: list[float] = []

    class Away(Recorder):
        async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
            tries.append(asyncio.get_running_loop().time())
            if len(tries) < 9:
                raise StoreUnavailable("away")
            return await super().run(calls)

    queue = queue_on(Away())
    queue.call(drain_node("n1", "g1", "d", True), lambda answer: None)
    await queue.run_once(NO_SELECTS)
    assert tries == pytest.approx([0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55, 3.55, 4.55])


async def test_a_store_that_lost_its_data_is_reported_once_and_before_the_answers() -> None:
    """Handlers of the answers then have the new generations of the nodes."""
    seen: list[str] = []

    class Reports(NoSelects):
        def store_restarted(self) -> None:
            seen.append("restarted")

    runner = Recorder()
    runner.restarts = 3  # before the start of this scheduler
    queue = queue_on(runner)
    for restarts in (3, 4, 4):
        runner.restarts = restarts
        queue.call(drain_node("n1", "g1", "d", True), lambda answer: seen.append(answer[0]))
        await queue.run_once(Reports())
    assert seen == ["OK", "restarted", "OK", "OK"]


async def test_a_waiter_for_a_heartbeat_is_released_with_its_answer() -> None:
    """It must not wait for the next heartbeat, which may be late: the last one was of a node that has left."""
    queue = queue_on(Recorder())
    words: list[str] = []
    queue.heartbeat("n1", "g1", on_word := partial(words.append))
    held = weakref.ref(on_word)
    del on_word
    await queue.run_once(NO_SELECTS)
    assert words == ["OK"] and held() is None


async def test_batches_are_split_at_a_thousand_arguments() -> None:
    runner = Recorder()
    queue = queue_on(runner)
    words: list[str] = []
    for i in range(2500):
        queue.release(f"j-{i}|1")
    for i in range(1200):
        queue.heartbeat(f"n{i}", "g", words.append)
    while await queue.run_once(NO_SELECTS):
        pass
    calls = [call for flush in runner.flushes for call in flush]
    assert max(len(call.args) for call in calls) <= 1000
    assert sum(len(call.args) for call in calls if call.name == "release_job") == 2500
    assert len(words) == 1200


async def test_a_flush_is_bounded_and_the_rest_follows_in_order() -> None:
    runner = Recorder()
    queue = queue_on(runner)
    for i in range(2 * CALLS_MAX + 1):
        queue.call(drain_node(f"n{i}", "g", "d", True), lambda answer: None)
    while await queue.run_once(NO_SELECTS):
        pass
    assert [len(flush) for flush in runner.flushes] == [CALLS_MAX, CALLS_MAX, 1]
    assert [call.args[0] for flush in runner.flushes for call in flush] == [f"n{i}" for i in range(2 * CALLS_MAX + 1)]


async def rig_that_loses(script: str, losses: int) -> Rig:
    runner = LosesAnswers(script, losses)
    rig = Rig(runner=runner)
    runner.store = rig.store
    return rig


async def test_a_select_whose_answer_was_lost_is_repeated_and_gives_one_assign() -> None:
    """R9: there is exactly one assignment an attempt."""
    rig = await rig_that_loses("select_node", losses=2)
    _, link = await rig.node("n1", slots=3)
    job = await rig.submit()
    assert (job.state, job.attempt, link.assigns) == (DISPATCHED, 1, [(job.job_id, 1)])
    assert rig.store.census()["reservations"] == 1
    assert (rig.counts.of["store_failed"], rig.counts.of["store_recovered"]) == (2, 1)


async def test_a_release_whose_answer_was_lost_frees_one_slot() -> None:
    rig = await rig_that_loses("release_job", losses=1)
    node, _ = await rig.node("n1")
    first, second = await rig.submit(), await rig.submit()
    assert second.state == WAITING
    await rig.answer(node, first)
    assert (first.state, second.state, rig.store.census()["reservations"]) == (COMPLETED, DISPATCHED, 1)


async def test_a_rest_that_is_repeated_after_a_new_register_does_not_touch_it() -> None:
    """Busy, a reconnect, and a lost answer: the complete flush is repeated, the rest of the old connection first."""
    rig = await rig_that_loses("register_node", losses=0)
    runner = rig.core.queue._runner
    assert isinstance(runner, LosesAnswers)
    node, _ = await rig.node("n1")
    job = await rig.submit()
    runner.losses = 1
    rig.desk.result(node, NodeResult(job.job_id, job.attempt, busy=True))
    new, link = await rig.node("n1")
    assert (job.state, job.node_id, link.assigns) == (DISPATCHED, "n1", [(job.job_id, 2)])
    assert new.registered and rig.counts.of["store_failed"] == 1


async def test_reservations_freed_by_a_lost_answer_are_found() -> None:
    """The lost answer of expire_reservations is unknown: every pool is asked again."""
    rig = await rig_that_loses("expire_reservations", losses=0)
    node, _ = await rig.node("n1")
    forgotten = await rig.submit()
    node.reservations.clear()  # a reservation without an owner
    rig.core.timeouts.deadlines.clear(forgotten)
    waits = await rig.submit(timeout_ms=200_000)
    waits.waits_from_ms = rig.clock.ms + 190_000
    rig.core.timeouts.deadlines.set(waits, rig.clock.ms + 200_000)
    runner = rig.core.queue._runner
    assert isinstance(runner, LosesAnswers)
    for _ in range(12):
        await rig.pass_time(8)
        await rig.beat(node, running=[])
    assert waits.state == WAITING
    runner.losses = 1
    for _ in range(2):
        await rig.pass_time(8)
        await rig.beat(node, running=[])
    assert waits.state == DISPATCHED


class Down:
    """Doesn't answer until it is up."""

    restarts = 0

    def __init__(self) -> None:
        self.is_up = False
        self.beats: list[list[str]] = []
        self.before_each_try: Callable[[], None] = lambda: None

    async def run(self, calls: Sequence[ScriptCall]) -> list[list[str]]:
        self.before_each_try()
        if not self.is_up:
            raise StoreUnavailable("down")
        self.beats += [call.args[2:] for call in calls if call.name == "heartbeat"]
        return [["OK"] * max(1, (len(call.args) - 2) // 2) for call in calls]


async def test_heartbeats_do_not_pile_up_while_the_store_is_down() -> None:
    """The last heartbeat of each node is sent when the store answers again, after any time."""
    runner = Down()
    queue = queue_on(runner)
    reported: list[str] = []
    beats = iter(range(1, 100))

    def note(node: str, number: int, word: str) -> None:
        reported.append(f"{node} {number} {word}")

    def beat() -> None:
        number = next(beats)
        for node in ("n1", "n2"):
            queue.heartbeat(node, f"g{number}", partial(note, node, number))
        runner.is_up = number == 4
        assert len(queue) <= 1

    runner.before_each_try = beat
    queue.release("j|1")
    await queue.run_once(NO_SELECTS)
    runner.before_each_try = lambda: None
    await queue.run_once(NO_SELECTS)
    assert runner.beats == [["n1", "g1", "n2", "g1", "n1", "g4", "n2", "g4"]], "the first was queued while it was up"
    assert reported == ["n1 1 OK", "n2 1 OK", "n1 4 OK", "n2 4 OK"]
