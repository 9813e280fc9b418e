"""The batches of a worker: which jobs go together and when, and that results, errors and cancels belong to one job."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.unit.played_scheduler import PlayedConnection, PlayedScheduler, registered, settle
from tests.unit.played_worker import working
from tests.unit.virtual import virtual
from voxpool.scheduler.engines import Batch, Work, WorkFailed
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, NodeResult, Register, WorkError
from voxpool.scheduler.sdk import Worker, worker

Outputs = list[Any]


class Model:
    """A batch function on the loop that takes a second, or until the test lets it end."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.began_s: list[float] = []
        self.works: list[Work] = []
        self.answers: dict[str, Any] = {}
        """Job id -> its output, if not the job id."""
        self.raises: BaseException | None = None
        self.cancels: list[str] = []
        """The first job of each call that was cancelled."""

    async def __call__(self, works: list[Work]) -> Outputs:
        self.batches.append([work.job_id for work in works])
        self.began_s.append(asyncio.get_running_loop().time())
        self.works += works
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancels.append(works[0].job_id)
            raise
        if self.raises is not None:
            raise self.raises
        return [self.answers.get(work.job_id, work.job_id) for work in works]


def assigns(*job_ids: str, pair: str = "zh:en") -> list[Assign]:
    return [Assign(job_id, 1, pair, b"audio", 60_000) for job_id in job_ids]


def answers(played: PlayedConnection) -> dict[str, NodeResult]:
    """Return the answers by job; no job is answered twice."""
    results = played.of_kind(NodeResult)
    assert len({result.job_id for result in results}) == len(results)
    return {result.job_id: result for result in results}


@virtual
async def test_a_batch_waits_for_the_next_jobs_after_the_last_one_and_not_before(scheduler: PlayedScheduler) -> None:
    """The first job of an idle worker starts at once, the batch after another one when full, or after gather_ms."""
    model = Model()
    async with working(Batch(model, max=3, gather_ms=10), slots=None):
        first = await scheduler.connected(1)
        assert first.of_kind(Register)[0].slots == 6
        began_s = asyncio.get_running_loop().time()
        first.say(registered(), *assigns("a"))
        await settle()
        assert model.batches == [["a"]] and model.began_s[0] - began_s < 0.005
        first.say(*assigns("b"))
        await asyncio.sleep(1.002)
        assert answers(first).keys() == {"a"} and len(model.batches) == 1, "b waits for others"
        first.say(*assigns("c"))
        await asyncio.sleep(0.01)
        assert model.batches == [["a"], ["b", "c"]] and model.began_s[1] - model.began_s[0] == pytest.approx(1.01)
        first.say(*assigns("d", "e", "f", "g"))
        await asyncio.sleep(1)
        assert model.batches[2:] == [["d", "e", "f"]] and model.began_s[2] - model.began_s[1] == pytest.approx(1)
        await asyncio.sleep(3)
        assert model.batches[3:] == [["g"]]
        assert {job_id: result.output for job_id, result in answers(first).items()} == {k: k for k in "abcdefg"}


@virtual
async def test_a_batch_has_one_pair_and_the_oldest_job_comes_first(scheduler: PlayedScheduler) -> None:
    model = Model()
    async with working(Batch(model, max=2), slots=None, pairs=["zh:en", "en:zh"]):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a"))
        await settle()
        first.say(*assigns("b"), *assigns("x", pair="en:zh"), *assigns("c"))
        await asyncio.sleep(4)
        assert model.batches == [["a"], ["b", "c"], ["x"]]


@virtual
async def test_a_worker_has_slots_for_two_batches(scheduler: PlayedScheduler) -> None:
    """A job beyond them is answered as busy, and works that wait count."""
    async with working(Batch(Model(), max=2), slots=None):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a", "b", "c", "d", "e"))
        await settle()
        assert [result.job_id for result in first.of_kind(NodeResult) if result.busy] == ["e"]


@virtual
async def test_an_exception_in_the_place_of_an_output_fails_that_job_alone(scheduler: PlayedScheduler) -> None:
    model = Model()
    model.answers = {"b": WorkFailed("too_short"), "c": ValueError("no such speaker"), "d": StopIteration(), "e": None}
    async with working(Batch(model), slots=None):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a"))
        await settle()
        first.say(*assigns("b", "c", "d", "e", "f"))
        await asyncio.sleep(3)
        ended = answers(first)
        assert ended["b"].error == WorkError("too_short")
        assert ended["c"].error == WorkError("engine_error", True, "ValueError: no such speaker")
        assert ended["d"].error == WorkError("engine_error", True, "RuntimeError: the work raised StopIteration")
        assert [ended[job_id].output for job_id in "aef"] == ["a", None, "f"]
        assert [ended[job_id].error for job_id in "aef"] == [None] * 3


@virtual
async def test_an_exception_of_the_call_fails_each_job_and_the_next_batch_runs(scheduler: PlayedScheduler) -> None:
    model = Model()
    model.raises = MemoryError()
    async with working(Batch(model), slots=None):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a"))
        await settle()
        first.say(*assigns("b", "c"))
        await asyncio.sleep(2.5)
        assert {job_id: result.error for job_id, result in answers(first).items()} == dict.fromkeys(
            "abc", WorkError("engine_error", True, "MemoryError")
        )
        model.raises = None
        first.say(*assigns("d"))
        await asyncio.sleep(2)
        assert answers(first)["d"].output == "d"


@pytest.mark.parametrize(("returned", "shown"), [(["a"], "1 outputs"), ("ab", "str"), (None, "NoneType")])
@virtual
async def test_a_batch_function_returns_one_output_a_job(scheduler: PlayedScheduler, returned: Any, shown: str) -> None:
    async def wrong(works: list[Work]) -> Any:
        return returned if len(works) == 2 else [None]

    async with working(Batch(wrong), slots=None):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a"))
        await settle()
        first.say(*assigns("b", "c"))
        await asyncio.sleep(1)
        details = [result.error and result.error.detail for result in answers(first).values()]
        assert details[0] is None
        assert (
            details[1:]
            == [f"TypeError: the batch function returned {shown} for 2 jobs: return a list with one for each"] * 2
        )


@virtual
async def test_a_cancelled_job_leaves_its_batch_alone(scheduler: PlayedScheduler) -> None:
    """A waiting one is never begun, one at work has its event set, and a call on the loop ends with its last job."""
    model = Model()
    async with working(Batch(model), slots=None) as (node, _):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a"))
        await settle()
        first.say(*assigns("b", "c", "d"), CancelAttempt("c", 1))
        await asyncio.sleep(1.1)
        assert model.batches == [["a"], ["b", "d"]]
        first.say(CancelAttempt("b", 1))
        await settle()
        assert [work.job_id for work in model.works if work.cancelled.is_set()] == ["b"]
        await asyncio.sleep(1)
        assert sorted(answers(first)) == ["a", "d"] and model.cancels == []
        first.say(*assigns("e"))
        await settle()
        first.say(*assigns("f"), CancelAttempt("e", 1))
        await asyncio.sleep(0.1)
        assert model.batches[-1] == ["f"]
        await asyncio.sleep(1)
        assert sorted(answers(first)) == ["a", "d", "f"] and model.cancels == ["e"]
        assert node.done == 3 and not node._running and not node._cancelled


@virtual
async def test_a_stop_lets_the_batches_end(scheduler: PlayedScheduler) -> None:
    model = Model()
    async with working(Batch(model, max=2), slots=None) as (node, task):
        first = await scheduler.connected(1)
        first.say(registered(), *assigns("a", "b", "c", "d"))
        await settle()
        node.stop()
        await asyncio.wait([task])
        assert answers(first).keys() == set("abcd") and first.round_trips


async def test_a_plain_batch_function_runs_in_one_thread_with_its_setup() -> None:
    names: set[str] = set()

    def setup() -> None:
        names.add(threading.current_thread().name)

    def function(works: list[Work]) -> Outputs:
        names.add(threading.current_thread().name)
        return [work.audio for work in works]

    node = Worker("ws://127.0.0.1:1", node_id="n", pairs=["zh:en"], work=Batch(function), setup=setup)
    try:
        await node._calls.call(setup)
        works = [Work(f"j{number}", 1, "zh:en", b"%d" % number) for number in range(5)]
        assert await asyncio.gather(*map(node._calls.output_of, works)) == [work.audio for work in works]
        assert names == {"n_0"} and node.idle
    finally:
        await node._calls.close()


def test_bounds() -> None:
    def function(works: list[Work]) -> Outputs:
        return works

    for wrong in ({"max": 0}, {"max": 501}, {"gather_ms": -1}, {"gather_ms": 10_001}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            worker.batch(pairs=["zh:en"], **wrong)(function)  # type: ignore[arg-type]
    app = worker.batch(pairs=["zh:en"], max=500)(function)
    assert app.slots == app.node("ws://127.0.0.1:1").slots == 1000 and app([]) == []
