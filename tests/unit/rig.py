"""A core on the memory store with a manual clock: its roles are run step by step, nothing runs by itself."""

from __future__ import annotations

import random
from collections import Counter

from tests.unit.fakes import HandClock
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core, CoreClasses
from voxpool.scheduler.core.jobs.job import Job, Share
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.seams import Observer, ResultSink, ScriptRunner
from voxpool.scheduler.core.why import Why
from voxpool.scheduler.protocol.messages import Assign, Heartbeat, NodeResult, Register, ToNode, WorkError
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.fan_out import fan_out

AUDIO = b"RIFF-audio"


class Link:
    """The connection to a node: records what was sent; the test decides whether it answers a probe."""

    def __init__(self, answers: bool = True) -> None:
        self.answers = answers
        self.sent: list[ToNode] = []
        self.closed_for = ""

    def send(self, message: ToNode) -> None:
        self.sent.append(message)

    def close(self, reason: str) -> None:
        self.closed_for = reason

    async def probe(self) -> bool:
        return self.answers

    def of_kind(self, kind: type) -> list[ToNode]:
        return [message for message in self.sent if isinstance(message, kind)]

    @property
    def assigns(self) -> list[tuple[str, int]]:
        """Return (job_id, attempt) of each assign, in order."""
        return [(message.job_id, message.attempt) for message in self.sent if isinstance(message, Assign)]


class Sink(ResultSink):
    """Records the jobs that ended."""

    def __init__(self) -> None:
        self.ended: list[Job] = []

    def job_ended(self, job: Job) -> None:
        self.ended.append(job)


class Counts(Observer):
    """Counts the events of the dispatcher."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        self.of[f"redispatched:{reason}"] += 1

    def late_result(self, job_id: str, attempt: int, node_id: str, trace: str = "") -> None:
        self.of["late_result"] += 1

    def stale_allocation(self, job: Job, node_id: str, generation: str) -> None:
        self.of["stale_allocation"] += 1

    def job_rejected(self, pair: str, reason: str) -> None:
        self.of[f"rejected:{reason}"] += 1

    def node_offline(self, node: Node, reason: str) -> None:
        self.of[f"offline:{reason}"] += 1

    def store_failed(self, detail: str) -> None:
        self.of["store_failed"] += 1

    def store_recovered(self) -> None:
        self.of["store_recovered"] += 1


class Rig:
    """`settle` sends what is queued until nothing is left; `pass_time` advances the clock and runs the roles."""

    def __init__(
        self,
        classes: CoreClasses | None = None,
        runner: ScriptRunner | None = None,
        settings: Settings | None = None,
        observer: Observer | None = None,
        sink: ResultSink | None = None,
        instance: str = "test",
        clock: HandClock | None = None,
    ) -> None:
        self.clock = clock or HandClock(1_000_000)
        self.store = MemoryStore()
        self.sink = Sink()
        self.counts = Counts()
        self.why = Why(self.clock, jobs_max=3, every=0)
        self.core = Core.build(
            settings=settings or Settings(),
            clock=self.clock,
            runner=runner or self.store,
            sink=self.sink if sink is None else sink,
            observer=fan_out([observer or self.counts, self.why]),
            random=random.Random(1),
            instance=instance,
            classes=classes or CoreClasses(),
            why=self.why,
        )
        self.dispatcher = self.core.dispatcher
        self.desk = self.core.node_events
        self._requests = 0

    async def settle(self) -> None:
        while await self.core.queue.run_once(self.core.dispatcher):
            pass

    async def pass_time(self, seconds: float, step_s: float = 1.0) -> None:
        """Advance the clock in steps, and let the roles do the due work after each."""
        end_ms = self.clock.ms + round(seconds * 1000)
        while self.clock.ms < end_ms:
            self.clock.ms = min(end_ms, self.clock.ms + round(step_s * 1000))
            while self.core.timeouts.run_once():
                pass
            self.core.leases.run_once()
            await self.settle()

    async def node(
        self,
        node_id: str,
        pairs: list[str] | None = None,
        slots: int = 1,
        process_id: str = "p1",
        running: list[tuple[str, int]] | None = None,
        link: Link | None = None,
    ) -> tuple[Node, Link]:
        """Connect a node and wait until the store has it."""
        link = link or Link()
        register = Register(
            node_id=node_id, process_id=process_id, pairs=pairs or ["zh:en"], slots=slots, running=running or []
        )
        node = await self.desk.joined(link, register)
        await self.settle()
        return node, link

    async def submit(self, pair: str = "zh:en", request_id: str = "", **options: int | str | bool | Share) -> Job:
        """Submit a job and wait until its select was sent to the store."""
        self._requests += 1
        job = self.dispatcher.submit(
            pair=pair,
            audio=AUDIO,
            request_id=request_id or f"request-{self._requests}",
            **options,  # type: ignore[arg-type]
        )
        await self.settle()
        return job

    async def answer(self, node: Node, job: Job, output: object = "text", attempt: int | None = None) -> None:
        """Let `node` answer for its current (or the given) attempt of `job`."""
        result = NodeResult(job.job_id, attempt or job.attempt, output=output)
        self.desk.result(node, result)
        await self.settle()

    async def fail(self, node: Node, job: Job, retryable: bool, reason: str = "broken_model", detail: str = "") -> None:
        """Let `node` answer with an error."""
        error = WorkError(reason, retryable, detail)
        self.desk.result(node, NodeResult(job.job_id, job.attempt, error=error))
        await self.settle()

    async def busy(self, node: Node, job: Job) -> None:
        """Let `node` answer that it is busy."""
        self.desk.result(node, NodeResult(job.job_id, job.attempt, busy=True))
        await self.settle()

    async def beat(self, node: Node, running: list[tuple[str, int]] | None = None) -> None:
        """Let `node` send a heartbeat; by default it runs exactly its reserved jobs."""
        held = [(job.job_id, job.attempt) for job in node.reservations.values()]
        self.desk.heartbeat(node, Heartbeat(held if running is None else running))
        await self.settle()
