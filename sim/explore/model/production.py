"""The second composition root of the simulation: the core that serve.py starts, for an execution whose every step is
chosen by the search.

In sim/world/world.py virtual time decides the next event, here the search does. The core runs on the simulation's event
loop; store, links, workers, clients and clock wait for the search.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from voxpool.scheduler.config import FAIR, Settings, ms
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.core.jobs.job import DISPATCHED, Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.scripts import register_node
from voxpool.scheduler.protocol.messages import Assign, NodeResult, Register
from voxpool.scheduler.telemetry.fan_out import fan_out
from voxpool.sim.checkers import KeysTakeTurns
from voxpool.sim.explore.model.channels import Link
from voxpool.sim.explore.model.execution import Step
from voxpool.sim.explore.model.flushes import Flushes
from voxpool.sim.explore.model.model_worker import ModelWorker, SocketHandler
from voxpool.sim.explore.model.observed import Observed, Sink
from voxpool.sim.explore.model.shape import PAIR, Shape
from voxpool.sim.explore.model.timers import ExploredClock, Timers
from voxpool.sim.explore.model.turns import FirstTurns
from voxpool.sim.explore.search.footprints import Footprints
from voxpool.sim.explore.search.histories import Histories
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.variant import Variant

INSTANCE = "s1"
SETTINGS = {
    "dispatch_timeout_s": 3.0,  # four of them come before the first heartbeat
    "waiting_timeout_s": 100.0,  # the store answers in the end
    "lease_s": 45.0,
    "backoff_s": 0.0,  # a job that failed waits again at once
    "timeouts_slice": 1,  # two timeouts at the same time are then two steps
}


class Even:
    """A constant random source: it is only used for the seed of a select, whose outcomes are separate steps."""

    def random(self) -> float:
        """Return 0.5."""
        return 0.5


class Stage:
    """Data shared by all runs of one search, of which at most one is open at a time."""

    def __init__(self, shape: Shape, variant: Variant) -> None:
        self.shape = shape
        self.variant = variant
        order = {"order": FAIR} if shape.shares else {}
        self.settings = msgspec.convert({**SETTINGS, **order, **variant.settings}, Settings)
        self.footprints = Footprints()
        self.histories = Histories(shape.nodes + shape.leftover, variant.scripts)


class Production:
    """The scheduler with clients, workers and store. Nodes register first; then `clients` and `faults` are open."""

    def __init__(self, stage: Stage) -> None:
        shape = self.shape = stage.shape
        footprints = stage.footprints
        self.observed = Observed()
        self.loop = VirtualLoop()
        self.clock = ExploredClock(self.loop.env, footprints)
        self.histories = stage.histories
        self.flushes = Flushes(self.loop, stage.histories, footprints, self.observed.name)
        self.turns = [KeysTakeTurns(self.loop)] if shape.shares else []  # type: ignore[arg-type]
        self.core = Core.build(
            settings=stage.settings,
            clock=self.clock,
            runner=self.flushes,
            sink=Sink(self.observed),
            observer=fan_out([self.observed, *self.turns, FirstTurns(self.observed)])
            if shape.shares
            else self.observed,
            random=Even(),  # type: ignore[arg-type]
            instance=INSTANCE,
            classes=stage.variant.classes,
        )
        self.timers = Timers(self.core, self.clock, self.loop, self.observed.name)
        self.workers = {
            name: ModelWorker(name, PAIR, shape.slots, *shape.failures_of(name), footprints, self.observed.name)
            for name in shape.node_names
        }
        self.clients: dict[Step, Callable[[], object]] = {
            Step(f"client submit {job}", f"{job} client"): self._submits(job) for job in shape.job_names
        }
        self.faults: dict[Step, Callable[[], None]] = {
            **{
                Step(f"fault reconnect {name}", f"fault {name}"): self.workers[name].reconnect
                for name in shape.reconnects
            },
            **{Step(f"fault offline {name}", f"fault {name}"): self.workers[name].die for name in shape.offline},
        }
        self._busy_rest_ms = ms(stage.settings.busy_rest_s)
        self._lease_ms = ms(stage.settings.lease_s)
        with self.loop.entered():
            self._begin(footprints)

    def close(self) -> None:
        """End the run and close the coroutine of the script queue."""
        self._role.get_coro().close()

    # ---- the beginning

    def _begin(self, footprints: Footprints) -> None:
        """Start the queue and register the nodes; of the other roles only run_once is used."""
        self._leave_over()

        def new_link(worker: ModelWorker, name: str) -> Link:
            return Link(worker, name, footprints, self.observed.name, self._assigned)

        handler = SocketHandler(self._result, self._closed, self._register)
        for worker in self.workers.values():
            worker.connect(handler, new_link)
            self._register(worker.link, worker.register_message())
        self._role = self.loop.create_task(self.core.queue.run_forever(self.core.dispatcher), name="script queue")
        while self.loop._ready or self.flushes.under_way:
            self.loop._turn()
            for flush in self.flushes.under_way[:]:
                step, state = self.flushes.commits(flush)[0]
                self.flushes.commit(flush, step, state)
                self.flushes.reply(flush)
        for step in [*self.clients][: self.shape.waiting]:
            self.clients.pop(step)()
            while self.loop._ready:
                self.loop._turn()

    def _leave_over(self) -> None:
        """Write the leftovers of a dead scheduler into the store."""
        if self.shape.leftover:
            gone = register_node(
                self.clock.ms, self._lease_ms, "n0", "s0-1", "n0.1", self.shape.slots, "", [PAIR], "", []
            )
            self.flushes.state = self.histories.commit(self.flushes.state, [gone])[0]

    # ---- arrivals

    def _submits(self, name: str) -> Callable[[], None]:
        def submit() -> None:
            job = self._submit(name)
            if name in self.shape.resubmits:
                self.clients[Step(f"client resubmit {name}", f"{name} resubmit")] = lambda: self._submit(name)
            if name in self.shape.cancels:
                cancel = self.core.dispatcher.cancel
                self.clients[Step(f"client cancel {name}", f"{name} cancel")] = lambda: cancel(job.job_id)

        return submit

    def _submit(self, name: str) -> Job:
        share = self.shape.share_of(name)
        return self.core.dispatcher.submit(pair=PAIR, audio=b"audio", request_id=name, share=share)

    def _result(self, link: Link, result: NodeResult) -> None:
        node = link.node
        if not link.can_be_read():
            return
        assert node is not None
        job = self.observed.jobs[result.job_id]
        was = job.state
        # Read only when it matters: what is read counts as a dependence between steps.
        is_held = result.busy and (was, job.attempt, job.node_id) == (DISPATCHED, result.attempt, node.node_id)
        self.core.node_events.result(node, result)
        self.observed.result_handled(job, was, result.attempt, node)
        if is_held and node.connected:  # a late answer changes nothing
            self.observed.busy_until[node.node_id] = self.clock.ms + self._busy_rest_ms

    def _closed(self, link: Link) -> None:
        link.closed()
        if link.node is not None:
            self.core.node_events.left(link.node)

    def _register(self, link: Link, register: Register) -> None:
        joining = self.core.node_events.joined(link, register)
        try:
            joining.send(None)
        except StopIteration as done:
            link.node = done.value
        else:
            raise RuntimeError("no explored execution has two processes under one name")

    def _assigned(self, node: Node | None, assign: Assign) -> None:
        self.observed.was_assigned(node, assign, self.clock.ms)
        allocated = self.flushes.allocated.get(f"{assign.job_id}|{assign.attempt}")
        if allocated is not None and node is not None and allocated != node.generation:
            what = f"{self.observed.name(assign.job_id)}|{assign.attempt}"
            self.observed.broke("an allocation goes to its generation", f"{what} was sent on another connection")
