"""Plays a scenario's traffic against a real scheduler, open-loop: each job is sent when it is due, whatever became of
the others, and every time counts from that moment.
"""

from __future__ import annotations

import asyncio
import selectors
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import SystemClock
from voxpool.scheduler.sdk import Client, SchedulerUnreachable, SubmitRejected
from voxpool.sim.calibrate.node import pack
from voxpool.sim.calibrate.plan import PAIR, Run
from voxpool.sim.calibrate.service import Service
from voxpool.sim.world.traffic import Stream

SAMPLE_S = 0.37
"""Between two looks at the table; no multiple of it is near the sweeps', so all phases of a sweep are seen."""
FINISHED = tuple(f'jobs_resident{{state="{state}"}}' for state in ("completed", "failed", "cancelled"))
T = TypeVar("T")
CPU = "process_cpu_seconds_total"


class Record(NamedTuple):
    """The moments of one job, in seconds from the start of its run."""

    request_id: str
    work_s: float
    due_s: float
    sent_s: float
    accepted_s: float
    """The client received the confirmation that the scheduler accepted the job."""
    started_s: float
    """The node began to work on it."""
    ended_s: float
    received_s: float
    """The client has its result."""


@dataclass
class Measured:
    """What a run brought: a record for each job that completed, and the scheduler's metrics before and after it."""

    run: Run
    records: list[Record] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    """Why jobs brought no result -> how many."""
    resident: list[float] = field(default_factory=list)
    """Finished jobs in the table at even distances, from the time when as many leave as come."""
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)


class Burst(NamedTuple):
    """Many jobs without work at once: the scheduler's processor time for them."""

    jobs: int
    cpu_s: float


def run_finely(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a loop that wakes when it should: epoll waits whole milliseconds, select does not.

    SIGTERM ends it as Ctrl-C does, so that no process that it started stays behind.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        try:
            return runner.run(_cancelled_by_sigterm(main))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _cancelled_by_sigterm(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await main


async def measure_run(service: Service, client: Client, run: Run, tell: Callable[[float], None]) -> Measured:
    """Send the traffic of `run`, wait for all results, and return what came of it; `tell` receives the seconds passed.

    Raises ServiceFailed when a process ends.
    """
    measured = Measured(run, before=await service.metrics())
    seconds = SystemClock().seconds
    start_s = seconds()
    watching = asyncio.create_task(_watch(service, measured, start_s, tell))
    jobs: list[asyncio.Task[None]] = []
    (traffic,) = run.scenario.traffic
    try:
        for due_s, request in Stream(traffic, "t0", run.scenario.seed, run.scenario.duration_s).schedule():
            await asyncio.sleep(start_s + due_s - seconds())
            if watching.done():
                watching.result()  # raises when something has ended that should not
            audio = pack(request.work_s, request.audio_bytes)
            job = _job(client, measured, request.request_id, request.work_s, audio, start_s, due_s)
            jobs.append(asyncio.create_task(job))
        await asyncio.gather(watching, *jobs)
    finally:
        for task in (watching, *jobs):
            task.cancel()
        await asyncio.gather(watching, *jobs, return_exceptions=True)
    measured.after = await service.metrics()
    service.check()
    return measured


async def burst(service: Service, client: Client, name: str, jobs: int) -> Burst:
    """Submit `jobs` jobs without work, as fast as they can be sent, and wait for all of them."""
    before = await service.metrics()
    audio = pack(0.0, 0)
    await asyncio.gather(*(client.submit(audio, PAIR, request_id=f"{name}-{number}") for number in range(jobs)))
    after = await service.metrics()
    service.check()
    return Burst(jobs, after[CPU] - before[CPU])


async def _job(
    client: Client, measured: Measured, request_id: str, work_s: float, audio: bytes, start_s: float, due_s: float
) -> None:
    seconds = SystemClock().seconds
    sent_s = seconds() - start_s
    (traffic,) = measured.run.scenario.traffic
    try:
        started = await client.start(audio, traffic.pair, request_id=f"{measured.run.name}-{request_id}")
        accepted_s = seconds() - start_s
        result = await started.result()
    except (SubmitRejected, SchedulerUnreachable) as error:
        why = error.reason if isinstance(error, SubmitRejected) else "unreachable"
        measured.lost[why] = measured.lost.get(why, 0) + 1
        return
    received_s = seconds() - start_s
    if result.state != "completed":
        why = result.error or result.state
        measured.lost[why] = measured.lost.get(why, 0) + 1
        return
    times = result.output
    measured.records.append(
        Record(
            request_id,
            work_s,
            due_s,
            sent_s,
            accepted_s,
            times["started_s"] - start_s,
            times["ended_s"] - start_s,
            received_s,
        )
    )


async def _watch(service: Service, measured: Measured, start_s: float, tell: Callable[[float], None]) -> None:
    """Look at the table until the traffic is over; a probe isn't looked at, since looking costs."""
    seconds, scenario = SystemClock().seconds, measured.run.scenario
    settings: Settings = scenario.resolved_settings
    steady_s = settings.retention_s + settings.cleanup_interval_s
    at_s = 0.0
    while (at_s := at_s + SAMPLE_S) < scenario.duration_s:
        await asyncio.sleep(start_s + at_s - seconds())
        service.check()
        tell(at_s)
        if not measured.run.is_probe and at_s >= steady_s:
            metrics = await service.metrics()
            measured.resident.append(sum(metrics.get(name, 0.0) for name in FINISHED))
