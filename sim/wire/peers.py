"""The machines beside the scheduler: each has one program, whose process can crash, freeze and start again."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from voxpool.scheduler.engines import WorkFailed
from voxpool.scheduler.protocol.messages import NodeResult
from voxpool.scheduler.sdk.worker_node import Worker
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.network.link import Link
from voxpool.sim.network.process import Process
from voxpool.sim.network.transport import MemoryTransport
from voxpool.sim.wire.ledger import output_of
from voxpool.sim.wire.machine import MachineClock
from voxpool.sim.wire.partial_checkers import partial_of
from voxpool.sim.world.clients import ENDED_WORK_S
from voxpool.sim.world.nodes import DOWN, FROZEN, UP, Work

if TYPE_CHECKING:
    from voxpool.sim.wire.world import WireWorld

SCHEDULER = "scheduler"
"""The machine of the scheduler."""


class Peer:
    """A machine with a program; subclasses have its `main`. `starts` counts its processes."""

    def __init__(self, world: WireWorld, name: str) -> None:
        self.world, self.name = world, name
        self.first_id = name
        self.starts = 0
        self.process: Process | None = None

    @property
    def state(self) -> str:
        """The state of its process, in the words of a simulated node."""
        if self.process is None or not self.process.is_alive:
            return DOWN
        return FROZEN if self.process.is_frozen else UP

    @property
    def is_whole(self) -> bool:
        """Whether its process runs."""
        return self.state == UP

    @property
    def link(self) -> Link:
        """Its link to the scheduler."""
        return self.world.network.link(self.name, SCHEDULER)

    @property
    def connections(self) -> list[MemoryTransport]:
        """The open connections of its process."""
        return [] if self.process is None else list(self.process.transports)

    async def main(self) -> None:
        """Run the program."""
        raise NotImplementedError

    def ended(self) -> None:
        """Its process has ended."""

    def start(self) -> None:
        """Start a new process."""
        self.starts += 1
        self.process = self.world.network.process(self.name)
        self.process.at_end = self.ended
        self.process.start(self.main)

    def crash(self) -> None:
        """Kill the process."""
        if self.process is not None:
            self.process.kill()

    def vanish(self) -> None:
        """Cut the power of the machine."""
        if self.process is not None:
            self.process.kill(power_off=True)

    def freeze(self) -> None:
        """Pause the process."""
        if self.process is not None:
            self.process.freeze()

    def thaw(self) -> None:
        """Resume the process."""
        if self.process is not None:
            self.process.thaw()


class WireNode(Peer):
    """A machine with an SDK worker. `running` maps attempts to the work of the present process."""

    def __init__(self, world: WireWorld, name: str, pairs: list[str], slots: int, speed: float) -> None:
        super().__init__(world, name)
        self.node_id, self.pairs, self.slots, self.speed = name, pairs, slots, speed
        self.running: dict[str, Work] = {}
        self.busy_s = 0.0
        self.worker: Worker | None = None
        self._runs: dict[tuple[str, int], int] = {}
        """Attempt -> how often the present process has begun it."""

    def __repr__(self) -> str:
        return f"<wire node {self.node_id} {self.state} {len(self.running)}/{self.slots}>"

    @property
    def unanswered(self) -> int:
        """Attempts that the worker holds in one of its tables."""
        worker = self.worker
        return 0 if worker is None else len(worker._running) + len(worker._unsent) + len(worker._cancelled)

    async def main(self) -> None:
        world = self.world
        worker = self.worker = Worker(
            world.url,
            node_id=self.node_id,
            pairs=self.pairs,
            work=self._work,
            slots=self.slots,
            token=world.tokens.get("node"),
            random=plain_random(world.seed, f"{self.name}/{self.starts}"),
            clock=MachineClock(world.env),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()

    def leave(self) -> None:
        """Send SIGTERM: the worker drains and ends."""
        if self.process is not None:
            self.process.signal(signal.SIGTERM)

    def result_of(self, work: Work) -> NodeResult:
        """Return the outcome of `work`; faults replace it."""
        return NodeResult(work.job_id, work.attempt)

    def ended(self) -> None:
        for work in list(self.running.values()):
            self._ended(work, False)
        self._runs.clear()

    async def _work(self, job: Any) -> Any:
        world, attempt = self.world, (job.job_id, job.attempt)
        self._runs[attempt] = self._runs.get(attempt, 0) + 1
        if self._runs[attempt] > 1:
            world.ledger.broke(f"attempt {attempt} ran {self._runs[attempt]} times on {self.node_id}")
        request = world.clients.by_job.get(job.job_id)
        work = Work(*attempt, request or world.clients.submitting, world.env.now, 0.0)
        self.running[str(work)] = work
        world.hub.work_started(self, work)  # type: ignore[arg-type]
        is_done = False
        try:
            seconds = ENDED_WORK_S if request is None else request.work_s
            await self._work_for(job, seconds / self.speed + world.overhead_s(), request.partials if request else 0)
            is_done = True
        finally:
            self._ended(work, is_done)
        error = self.result_of(work).error
        if error is not None:
            raise WorkFailed(error.reason, retryable=error.retryable)
        return output_of(job.job_id, job.audio)

    async def _work_for(self, job: Any, seconds: float, partials: int) -> None:
        """Take `seconds`, and send `partials`, at least one, evenly over that time if a client wants them."""
        if job.wants_partials:
            partials = max(1, partials)
            for n in range(partials):
                await asyncio.sleep(seconds / (partials + 1))
                job.partial(partial_of(job.job_id, job.audio, n))
            seconds /= partials + 1
        await asyncio.sleep(seconds)

    def _ended(self, work: Work, is_done: bool) -> None:
        if self.running.pop(str(work), None) is not None:
            self.busy_s += self.world.env.now - work.started_at
            self.world.hub.work_ended(self, work, is_done)  # type: ignore[arg-type]
