"""The event loop on virtual time behaves like asyncio's, in the same order, without access to the real world."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
import simpy

from voxpool.sim.virtual_time.loop import Deadlock, Refused, RunFailed, VirtualLoop


def on_virtual_time(coroutine: Any) -> Any:
    """Run `coroutine` on a fresh loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def test_a_day_takes_no_time() -> None:
    async def day() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert on_virtual_time(day()) == 86_400


def test_simpy_processes_and_coroutines_share_one_clock() -> None:
    loop = VirtualLoop()
    seen: list[tuple[float, str]] = []

    def process() -> Generator[simpy.Event, None, None]:
        for _ in range(3):
            yield loop.env.timeout(2)
            seen.append((loop.env.now, "process"))

    async def coroutine() -> None:
        for _ in range(3):
            await asyncio.sleep(1.5)
            seen.append((loop.time(), "coroutine"))

    loop.env.process(process())
    loop.run_until_complete(coroutine())
    loop.run(until_s=6)
    assert seen == [
        (1.5, "coroutine"),
        (2, "process"),
        (3, "coroutine"),
        (4, "process"),
        (4.5, "coroutine"),
        (6, "process"),
    ]


def test_all_events_of_an_instant_happen_before_the_next_turn() -> None:
    """As in asyncio, where one poll collects all due timers."""
    loop = VirtualLoop()
    seen: list[str] = []
    loop.call_later(1, seen.append, "timer")
    loop.after(1, seen.append, "event 1")
    loop.after(1, seen.append, "event 2")
    loop.run()
    assert seen == ["event 1", "event 2", "timer"]


def test_a_callback_scheduled_in_a_turn_runs_in_the_next() -> None:
    loop = VirtualLoop()
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        loop.call_soon(seen.append, "next turn")
        loop.after(0, seen.append, "event between the turns")

    loop.call_soon(first)
    loop.call_soon(seen.append, "same turn")
    loop.run()
    assert seen == ["first", "same turn", "event between the turns", "next turn"]


def test_a_run_stops_at_its_time_and_continues_from_there() -> None:
    loop = VirtualLoop()
    seen: list[int] = []
    for second in range(5):
        loop.after(second, seen.append, second)
    assert loop.run(until_s=2) is False
    assert (loop.time(), seen) == (2, [0, 1, 2])
    assert loop.run(done=lambda: 3 in seen) is True
    assert (loop.time(), seen) == (3, [0, 1, 2, 3])


def test_a_deadlock_names_each_waiting_coroutine() -> None:
    async def waits_for_an_event() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.gather(waits_for_an_event(), asyncio.create_task(asyncio.Lock().acquire(), name="short"))
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    with pytest.raises(Deadlock) as caught:
        loop.run_until_complete(main())
    text = str(caught.value)
    assert "main at test_loop.py" in text
    assert "waits_for_an_event at locks.py" in text


@pytest.mark.parametrize(
    "ask",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.start_server(print, port=0),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    ],
    ids=["thread", "socket", "server", "process", "name"],
)
def test_the_real_world_is_refused(ask: Any) -> None:
    async def main() -> None:
        await ask()

    with pytest.raises(Refused, match="seam"):
        VirtualLoop().run_until_complete(main())


def test_signals_executors_and_descriptors_are_refused() -> None:
    loop = VirtualLoop()
    for method in ("add_signal_handler", "set_default_executor", "add_reader", "call_soon_threadsafe"):
        with pytest.raises(Refused, match=method):
            getattr(loop, method)(1, print)


def test_an_unhandled_exception_ends_the_run_at_once() -> None:
    async def fails() -> None:
        await asyncio.sleep(2)
        raise ValueError("lost")

    loop = VirtualLoop()
    loop.create_task(fails())
    loop.after(10, print)
    with pytest.raises(RunFailed, match=r"fails raised at 2\.000000 s") as caught:
        loop.run()
    assert isinstance(caught.value.__cause__, ValueError)
    assert loop.time() == 2


def test_an_exception_in_a_callback_ends_the_run() -> None:
    loop = VirtualLoop()
    loop.call_later(1, lambda: 1 / 0)
    with pytest.raises(RunFailed):
        loop.run()


def test_an_exception_in_a_process_ends_the_run() -> None:
    loop = VirtualLoop()

    def process() -> Generator[simpy.Event, None, None]:
        yield loop.env.timeout(1)
        raise KeyError("process")

    loop.env.process(process())
    with pytest.raises(KeyError):
        loop.run()


def test_a_handled_exception_of_a_task_does_not_end_the_run() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise ValueError

    async def main() -> Any:
        return await asyncio.gather(fails(), fails(), return_exceptions=True)

    assert [type(result) for result in on_virtual_time(main())] == [ValueError, ValueError]


def test_a_waiting_task_that_is_dropped_is_reported() -> None:
    loop = VirtualLoop()

    async def waits() -> None:
        await loop.create_future()

    loop.create_task(waits())
    loop.after(1, gc.collect)
    loop.after(2, print)
    with pytest.raises(RunFailed, match="destroyed"):
        loop.run(until_s=3)


def test_cancelled_timers_do_not_pile_up() -> None:
    loop = VirtualLoop()
    kept = [loop.call_later(10, print) for _ in range(10)]
    for _ in range(20_000):
        loop.call_later(1000, print).cancel()
    assert len(loop.env._queue) < 3000
    for timer in kept:
        timer.cancel()
    loop.run()


def test_sets_of_tasks_iterate_in_the_order_of_creation() -> None:
    async def main() -> list[str]:
        tasks = {asyncio.create_task(asyncio.sleep(1, str(i)), name=str(i)) for i in range(7)}
        done, _ = await asyncio.wait(tasks)
        return [task.result() for task in done]

    assert on_virtual_time(main()) == on_virtual_time(main())


def test_cancellation_timeouts_and_groups_work() -> None:
    seen: list[str] = []

    async def worker(name: str) -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append(f"{name} cancelled at {asyncio.get_running_loop().time():g}")
            raise

    async def main() -> None:
        try:
            async with asyncio.timeout(3), asyncio.TaskGroup() as group:
                group.create_task(worker("a"))
                group.create_task(worker("b"))
        except TimeoutError:
            seen.append("timeout")

    on_virtual_time(main())
    assert seen == ["a cancelled at 3", "b cancelled at 3", "timeout"]


def test_queues_locks_and_generators_work() -> None:
    seen: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        for i in range(5):
            await asyncio.sleep(1)
            yield i

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def put() -> None:
            async for i in numbers():
                await queue.put(i)

        task = asyncio.create_task(put())
        for _ in range(5):
            seen.append(await queue.get())
        await task

    on_virtual_time(main())
    assert seen == [0, 1, 2, 3, 4]


def test_a_loop_does_not_run_inside_another() -> None:
    outer, inner = VirtualLoop(), VirtualLoop()
    outer.call_soon(inner.run)
    with pytest.raises(RunFailed, match="another event loop is running"):
        outer.run()


def test_simpy_itself_can_step_through_what_the_loop_has_planned() -> None:
    """The heap contains events like SimPy's own."""
    loop = VirtualLoop()
    seen: list[str] = []
    loop.after(1, seen.append, "event")
    loop.call_later(2, seen.append, "timer")
    with loop.entered():
        loop.env.run(until=3)
    assert seen == ["event"]
    loop.run()  # the timer has made its callback ready
    assert seen == ["event", "timer"]


def test_a_closed_or_running_loop_raises() -> None:
    loop = VirtualLoop()
    loop.after(1, print)
    loop.call_later(0, loop.close)
    with pytest.raises(RunFailed, match="running loop can't be closed"):
        loop.run()
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run()


def test_run_forever_ends_with_stop_or_names_the_waiting_tasks() -> None:
    loop = VirtualLoop()
    loop.call_later(5, loop.stop)
    loop.run_forever()
    assert loop.time() == 5
    loop.create_task(asyncio.Event().wait(), name="waits")
    with pytest.raises(Deadlock, match=r"Event\.wait"):
        loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run()


def test_a_custom_exception_handler_is_called_first() -> None:
    loop = VirtualLoop()
    received: list[str] = []
    loop.set_exception_handler(lambda _, context: received.append(context["message"]))
    assert loop.get_exception_handler() is not None
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(received.append, "goes on")
    loop.run()
    assert len(received) == 2
    assert received[1] == "goes on"
