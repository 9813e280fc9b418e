"""Sends a scenario's traffic to a real scheduler, open-loop: each job is sent when it is due, independent of the
results of others, and all its times count from that moment.
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
"""Interval of samples of the job table. It is no divisor of the sweep interval, so samples cover a sweep's phases."""
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
    """The client received the result."""


@dataclass
class Measured:
    """The result of a run: a record of each completed job, and the scheduler's metrics before and after the run."""

    run: Run
    records: list[Record] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    """Reason -> number of jobs without a result."""
    resident: list[float] = field(default_factory=list)
    """Finished jobs in the table, sampled at equal intervals in the steady state."""
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)


class Burst(NamedTuple):
    """Many jobs without work, sent at once: the scheduler's processor time for them."""

    jobs: int
    cpu_s: float


def run_finely(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a loop with exact timers: epoll rounds its timeout up to whole milliseconds, select does not.

    SIGTERM is handled like Ctrl-C, so that the started processes are stopped.
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
    """Send the traffic of `run` and wait for all results; `tell` receives the elapsed seconds.

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
                watching.result()  # raises when a process has ended
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
    """Sample the table until the traffic is over. Probes are not sampled, because sampling has a cost."""
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
