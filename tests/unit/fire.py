"""Stories in which everything fails: random steps on a production core, drawn from one seed, then healing.

The core is the one of scheduler/core/composition.py on a memory store; only its script queue runs by itself, and gets
no further than the story lets the store work. Whatever is broken is told by a `Broken` (fire_checks.py) with the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from tests.unit import fire_checks
from tests.unit.fakes import HandClock
from tests.unit.fire_checks import Broken
from tests.unit.fire_nodes import PAIRS, FireLink, FireNode, FireRunner
from tests.unit.rig import Counts
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core, CoreClasses
from voxpool.scheduler.core.jobs.job import COMPLETED, Job
from voxpool.scheduler.core.scripts import register_node
from voxpool.scheduler.errors import NodeRefused, Rejected
from voxpool.scheduler.protocol.messages import Heartbeat, NodeResult, Register, WorkError
from voxpool.scheduler.stores.memory import MemoryStore

NODES = 5
SETTINGS = Settings(heartbeat_s=5, lease_s=15, dispatch_timeout_s=12, attempts_max=3, store_refuse_s=10**6)
"""Shorter than production's, so that leases and jobs time out within a story; no submit is refused for its store."""
LOOP_TURNS = 4
"""Turns of the loop after a step: an answer passes through the queue, and its next flush (or repeat) begins."""
QUIET_STEPS_MAX = 500
"""Steps of a healthy store after which all that is asked of it must be answered, while no time passes."""
HEALED_S = 40
"""Healthy time after which every job must have ended, and what dead schedulers left is gone: a lease and a sweep."""


class Sink:
    """Counts how often it heard that a job ended."""

    def __init__(self, unfinished: dict[str, Job]) -> None:
        self.told: Counter[str] = Counter()
        self._unfinished = unfinished

    def job_ended(self, job: Job) -> None:
        self.told[job.job_id] += 1
        self._unfinished.pop(job.job_id, None)


class Story:
    """`run` burns for so many steps, heals, and demands the end of everything. The same seed tells the same story.

    `looks_between` = False leaves the checks to the end: to see that those find something by themselves.
    """

    def __init__(self, seed: int, classes: CoreClasses | None = None, looks_between: bool = True) -> None:
        self.seed = seed
        self.looks_between = looks_between
        self.chance = random.Random(seed)
        self.clock = HandClock(10**12)
        self.store = MemoryStore()
        self.runner = FireRunner(self.store, random.Random(seed + 1))
        self.jobs: list[Job] = []
        self.unfinished: dict[str, Job] = {}
        self.sink = Sink(self.unfinished)
        self.counts = Counts()
        self.closed: list[FireLink] = []
        assigned: set[tuple[str, int]] = set()
        self.nodes = [FireNode(f"n{i}", self.chance, self.closed, assigned) for i in range(NODES)]
        self.core = Core.build(
            settings=SETTINGS,
            clock=self.clock,
            runner=self.runner,
            sink=self.sink,
            observer=self.counts,
            random=random.Random(seed + 2),
            instance="fire",
            classes=classes or CoreClasses(),
        )
        self._weights = {
            self._submit: 10.0,
            self._read: 25.0,
            self._answer: 25.0,
            self._work_store: 35.0,
            self._pass_time: 10.0,
            self._come_up: 4.0,
            self._crash: 0.6,
            self._close: 0.6,
            self._freeze: 0.5,
            self._answer_busy: 0.5,
            self._answer_error: 1.5,
            self._cancel: 0.5,
            self._flush: 0.2,
            self._leave_ghost: 0.4,
        }

    async def run(self, steps: int) -> None:
        """Tell the story. Raises Broken."""
        self._queue = asyncio.create_task(self.core.queue.run_forever())
        try:
            for node in self.nodes:
                node.start()
                await self._register(node)
            for step in self.chance.choices(list(self._weights), list(self._weights.values()), k=steps):
                await step()
                await self._look()
            await self._heal()
            fire_checks.at_the_end(self)
        except Broken as broken:
            raise Broken(broken.sentence, f"seed {self.seed}: {broken.detail}") from broken
        finally:
            self._queue.cancel()
            await asyncio.gather(self._queue, return_exceptions=True)

    @property
    def quiet(self) -> bool:
        """Whether nothing is asked of the store, and nothing will be until something happens."""
        return self.core.queue.idle and not self.core.waiting.ready

    async def _look(self) -> None:
        await self._turn()
        while self.closed:
            link = self.closed.pop()
            if link.node is not None:
                self.core.node_events.left(link.node)
        if self.looks_between:
            fire_checks.at_any_moment(self)
            if self.quiet:
                self.counts.of["quiet"] += 1
                fire_checks.at_a_quiet_moment(self)

    async def _turn(self) -> None:
        for _ in range(LOOP_TURNS):
            await asyncio.sleep(0)
        if self._queue.done():
            self._queue.result()  # it never returns: this raises what it died of

    # ---- steps

    async def _submit(self) -> None:
        with contextlib.suppress(Rejected):  # no node for its pair, or too many jobs before it
            self._submit_job(self.chance.choice(PAIRS))

    async def _read(self) -> None:
        for node in self.nodes:
            node.read(assigns_get_lost=not self.runner.healthy)

    async def _work_store(self) -> None:
        for _ in range(self.chance.choice([1, 2, 5])):
            self.runner.step()
            await self._turn()

    async def _pass_time(self) -> None:
        self._tick(self.chance.choice([1, 10, 100, 1000, 3000]))

    async def _come_up(self) -> None:
        node = self.chance.choice(self.nodes)
        if not node.alive:
            node.start()
        elif self.chance.random() < 0.3:
            node.must_register = True
        await self._register(node)

    async def _crash(self) -> None:
        self.chance.choice(self.nodes).crash(noticed=self.chance.random() < 0.7)

    async def _close(self) -> None:
        node = self.chance.choice(self.nodes)
        if node.online is not None and node.link is not None:
            node.link.close("network")

    async def _freeze(self) -> None:
        node = self.chance.choice(self.nodes)
        node.frozen = not node.frozen

    async def _answer(self) -> None:
        self._finish(self.chance.choice(self.nodes))

    async def _answer_busy(self) -> None:
        self._finish(self.chance.choice(self.nodes), busy=True)

    async def _answer_error(self) -> None:
        error = WorkError("broken_model", retryable=self.chance.random() < 0.7)
        self._finish(self.chance.choice(self.nodes), error=error)

    async def _cancel(self) -> None:
        if self.jobs:
            self.core.dispatcher.cancel(self.chance.choice(self.jobs[-10:]).job_id)

    async def _flush(self) -> None:
        self.counts.of["flush"] += 1
        self.store.clear()

    async def _leave_ghost(self) -> None:
        """Put a node of a dead scheduler into the store, maybe under the name of a living one, with a reservation."""
        name = f"n{self.chance.randrange(NODES + 3)}"
        now_ms, number = self.clock.ms, self.counts.of["ghost"]
        self.counts.of["ghost"] += 1
        reservations = [(f"gone-{number}|1", now_ms + 200_000)] if self.chance.random() < 0.5 else []
        lease_ms = self.core.node_registry.lease_ms
        ghost = register_node(now_ms, lease_ms, name, f"dead-{number}", "ghost", 1, "", PAIRS, "", reservations)
        self.store.run_now([ghost])

    # ---- what steps are made of

    def _submit_job(self, pair: str) -> Job:
        job = self.core.dispatcher.submit(pair=pair, audio=b"audio", request_id=f"r{len(self.jobs)}")
        self.jobs.append(job)
        self.unfinished[job.job_id] = job
        return job

    async def _register(self, node: FireNode) -> None:
        """Let `node` connect if it has no connection, or register again over the one it has if it was told to."""
        if node.frozen or (node.online is not None and not node.must_register):
            return
        link = node.link if node.link is not None and node.link.open else FireLink(node)
        node.link, node.must_register = link, False
        running = sorted(node.running.items())
        message = Register(
            node_id=node.name, process_id=node.process_id, pairs=node.pairs, slots=node.slots, running=running
        )
        try:
            link.node = await self.core.node_events.joined(link, message)
        except NodeRefused:
            link.open = False

    def _finish(self, node: FireNode, busy: bool = False, error: WorkError | None = None) -> None:
        """Let `node` answer for one of the jobs that it runs; with its connection closed the answer is lost."""
        if not node.awake or not node.running:
            return
        job_id = self.chance.choice(sorted(node.running))
        attempt = node.running.pop(job_id)
        if node.online is not None:
            output = None if busy or error else "text"
            self.core.node_events.result(
                node.online, NodeResult(job_id, attempt, output=output, busy=busy, error=error)
            )

    def _read_all(self, node: FireNode) -> None:
        while node.online is not None and node.link is not None and node.link.inbox:
            node.read(assigns_get_lost=not self.runner.healthy)

    def _tick(self, passed_ms: int) -> None:
        self.clock.ms += passed_ms
        while self.core.timeouts.run_once():
            pass
        self.core.leases.run_once()
        for node in self.nodes:
            if self.clock.ms - node.beat_ms >= self.core.node_registry.heartbeat_ms:
                if node.online is None:
                    continue
                node.beat_ms = self.clock.ms
                self.core.node_events.heartbeat(node.online, Heartbeat(sorted(node.running.items())))

    # ---- healing

    async def _heal(self) -> None:
        """No more faults: all must end, what is dead must go, and what is asked then must be done."""
        self.runner.healthy = True
        for node in self.nodes:
            node.frozen = False
        await self._leave_ghost()
        for _ in range(HEALED_S):
            await self._healthy_second()
        fire_checks.when_healed(self)
        late = [self._submit_job(pair) for pair in PAIRS]
        for _ in range(5):
            await self._healthy_second()
        if any(job.state != COMPLETED for job in late):
            raise Broken(fire_checks.NOT_HEALED, f"{late}")

    async def _healthy_second(self) -> None:
        for node in self.nodes:
            if not node.alive:
                node.start()
            await self._register(node)
        self._tick(1000)
        for _ in range(QUIET_STEPS_MAX):
            self.runner.step()
            await self._look()
            for node in self.nodes:
                node.read(assigns_get_lost=False)
            if self.quiet:
                break
        else:
            raise Broken(fire_checks.NEVER_QUIET, f"{self.core.dispatcher!r}")
        for node in self.nodes:
            self._read_all(node)
            while node.running:
                self._finish(node)
        await self._look()
