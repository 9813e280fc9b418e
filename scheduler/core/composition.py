"""Builds the core objects from the seams and starts the roles: the architecture at a glance.

Both composition roots, serve.py and the simulation's world, come through here, so that the core
is built in one place.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from voxpool.scheduler.config import FAIR, Settings, ms
from voxpool.scheduler.core.admission.intake import Intake
from voxpool.scheduler.core.clock import Clock, Deadlines
from voxpool.scheduler.core.dispatcher import Dispatcher
from voxpool.scheduler.core.jobs.affinity import Affinity
from voxpool.scheduler.core.jobs.fair import FairWaitingJobs
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.jobs.job_table import JobTable
from voxpool.scheduler.core.jobs.waiting import WaitingJobs
from voxpool.scheduler.core.leases import Leases
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.nodes.node_registry import NodeRegistry
from voxpool.scheduler.core.retention import Retention
from voxpool.scheduler.core.script_queue import Outages, ScriptQueue
from voxpool.scheduler.core.seams import Observer, ResultSink, ScriptRunner
from voxpool.scheduler.core.timeouts import Timeouts
from voxpool.scheduler.core.why import Why


@dataclass(frozen=True)
class CoreClasses:
    """The classes that a core is built of. Production uses the defaults; the simulation replaces single ones."""

    job_table: type[JobTable] = JobTable
    waiting: type[WaitingJobs] = WaitingJobs
    fair: type[WaitingJobs] = FairWaitingJobs
    intake: type[Intake] = Intake
    queue: Callable[..., ScriptQueue] = ScriptQueue
    node_registry: type[NodeRegistry] = NodeRegistry
    dispatcher: Callable[..., Dispatcher] = Dispatcher
    node_events: type[NodeEvents] = NodeEvents
    retention: type[Retention] = Retention
    timeouts: type[Timeouts] = Timeouts
    leases: type[Leases] = Leases


@dataclass(frozen=True)
class Core:
    """The objects of one scheduler, without its doors."""

    table: JobTable
    waiting: WaitingJobs
    intake: Intake
    queue: ScriptQueue
    node_registry: NodeRegistry
    dispatcher: Dispatcher
    node_events: NodeEvents
    retention: Retention
    timeouts: Timeouts
    leases: Leases
    why: Why
    _tasks: list[asyncio.Task[None]]

    @classmethod
    def build(
        cls,
        *,
        settings: Settings,
        clock: Clock,
        runner: ScriptRunner,
        sink: ResultSink,
        observer: Observer,
        random: random.Random,
        instance: str,
        classes: CoreClasses = CoreClasses(),
        why: Why | None = None,
    ) -> Core:
        """Put a core together. `instance` (at most 16 characters) must be new for each start of a scheduler.

        `why` must be among the receivers of `observer`; without it no job is followed.
        """
        if why is None:
            why = Why(clock, jobs_max=0, every=0)
        table = classes.job_table(
            settings.jobs_max, settings.audio_total_bytes_max, settings.finished_max, ms(settings.retry_after_s)
        )
        waiting_class = classes.fair if settings.order == FAIR else classes.waiting
        waiting = waiting_class(settings.waiting_max, ms(settings.retry_after_s))
        outages = Outages(settings)
        intake = classes.intake(settings, clock, table, waiting, outages)
        job_deadlines: Deadlines[Job] = Deadlines(clock)
        node_deadlines: Deadlines[Node] = Deadlines(clock)
        queue = classes.queue(runner, clock, ms(settings.lease_s), observer, outages, intake.store_is_back)
        node_registry = classes.node_registry(
            settings, clock, queue, waiting, intake, node_deadlines, observer, instance
        )
        dispatcher = classes.dispatcher(
            settings=settings,
            clock=clock,
            table=table,
            waiting=waiting,
            intake=intake,
            deadlines=job_deadlines,
            node_registry=node_registry,
            queue=queue,
            affinity=Affinity(settings.sessions_max),
            sink=sink,
            observer=observer,
            random=random,
            why=why,
            instance=instance,
        )
        node_events = classes.node_events(settings, clock, dispatcher, node_registry, observer)
        return cls(
            table=table,
            waiting=waiting,
            intake=intake,
            queue=queue,
            node_registry=node_registry,
            dispatcher=dispatcher,
            node_events=node_events,
            retention=classes.retention(settings, clock, table, observer),
            timeouts=classes.timeouts(settings, clock, job_deadlines, dispatcher),
            leases=classes.leases(settings, clock, node_deadlines, node_events, node_registry, queue, waiting),
            why=why,
            _tasks=[],
        )

    def start(self) -> asyncio.Future[None]:
        """Start the roles on the running loop. The future that is returned fails when one of them dies."""
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()
        roles: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("script queue", self.queue.run_forever(self.dispatcher)),
            ("timeouts", self.timeouts.run_forever()),
            ("leases", self.leases.run_forever()),
            ("retention", self.retention.run_forever()),
            *self.dispatcher.roles(),
        ]
        for name, role in roles:
            task = loop.create_task(role, name=name)
            task.add_done_callback(lambda done: _report(done, failed))
            self._tasks.append(task)
        return failed

    def cancel(self) -> None:
        """Cancel the roles now; only their clean-up code still runs."""
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """End the roles. Nothing more is sent to the store."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def _report(done: asyncio.Task[None], failed: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not failed.done():
        failed.set_exception(error)
