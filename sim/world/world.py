"""The composition root of the simulation: the production core in virtual time, with simulated nodes and clients.

A world is one scheduler with its store, nodes, links and clients, all derived from one seed. Tests use it directly;
run.py runs a whole scenario in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TextIO

import msgspec

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import DISPATCHED, EQUAL, Job, Share
from voxpool.sim.chance.distributions import Distribution, Draw, draws, is_zero
from voxpool.sim.chance.seeds import generator, plain_random
from voxpool.sim.checkers import CHECKERS, Checker
from voxpool.sim.faults import CLOCK_OFF_MS, Faults
from voxpool.sim.faults.clients import Client, client_named, draw_client
from voxpool.sim.faults.nodes import make_whole
from voxpool.sim.observing.perfetto import Perfetto
from voxpool.sim.observing.recorder import Recorder
from voxpool.sim.observing.trace import Trace
from voxpool.sim.observing.watch import Hub
from voxpool.sim.observing.why import FollowedJobs
from voxpool.sim.scenario.scenario import distribution
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.world.busy import BusyLoop
from voxpool.sim.world.clients import Audio, Clients, Request
from voxpool.sim.world.door import Door
from voxpool.sim.world.mirror import StoreMirror
from voxpool.sim.world.nodes import SimNode
from voxpool.sim.world.observed_world import ObservedWorld
from voxpool.sim.world.scheduler_life import FIRST, SchedulerLife
from voxpool.sim.world.stores import RealStore, StoreSeam, open_store
from voxpool.sim.world.variant import Variant

DRAIN_AT_MOST_S = 30 * 86400.0


class World(SchedulerLife, ObservedWorld):
    """One simulated scheduler with its nodes and clients.

    `delay_ms` is the delay between scheduler, nodes and clients, `store_delay_ms` that to the store (each way).
    `overhead_ms` is added to the work of each attempt; `message_ms` is the time of the scheduler's loop per message.
    `settings` override the defaults, those of `variant` override both. Without `content` audio is shared silence and
    outputs are None: for measurements of memory. `why` records the decisions about the jobs in `follow`, whose ids are
    named in advance.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        settings: Mapping[str, Any] | None = None,
        delay_ms: float | Distribution = 0.0,
        store_delay_ms: float | Distribution = 0.0,
        overhead_ms: float | Distribution = 0.0,
        message_ms: float | Distribution = 0.0,
        store: str = "memory",
        variant: Variant | None = None,
        checkers: Sequence[type[Checker]] = CHECKERS,
        is_traced: bool = True,
        trace_file: TextIO | None = None,
        content: bool = True,
        warmup_s: float = 0.0,
        follow: Sequence[str] = (),
    ) -> None:
        self.seed = seed
        self.variant = variant or Variant()
        self.settings = msgspec.convert({**(settings or {}), **self.variant.settings}, Settings)
        self.loop = VirtualLoop()
        self.env = self.loop.env
        self.clock = VirtualClock(self.env)
        self.hub = Hub()
        self.why = FollowedJobs(self.clock, follow)
        self.store = open_store(store, self.variant.scripts)
        self.store_seam = StoreSeam(self.loop, self.store, self.hub, self._delay(store_delay_ms, "store"), self.mark)
        message_s = self._delay(message_ms, "loop")
        self.content = content
        busy = None if message_s is None else BusyLoop(self.loop, message_s)
        self.clients = Clients(
            self.loop,
            self.hub,
            Audio(content),
            self._delay(delay_ms, "clients"),
            plain_random(seed, "clients"),
            self.settings.session_grace_s,
            busy,
        )
        self.nodes: list[SimNode] = []
        self.door = Door(
            self.loop,
            self.hub,
            self.clients,
            self._delay(delay_ms, "nodes"),
            self.variant.connection,
            self.settings.greeting_s,
            2 * self.settings.heartbeat_s + self.settings.lease_s,
            self._delay(overhead_ms, "service"),
            busy,
            content,
        )
        self._nodes_by_id = self.door.nodes
        self.faults = Faults(self)
        self._node_random = plain_random(seed, "nodes")
        self._numbers: dict[str, int] = {}
        self.drain_at_most_s = DRAIN_AT_MOST_S
        """Virtual seconds within which all jobs must end after the faults are healed."""
        self.jobs_at_end = 0
        """Number of finished jobs left after draining, retention and one sweep."""
        self._requests = 0

        self.core = self.new_core(FIRST)
        self.mirror = StoreMirror()
        self.recorder = Recorder(self, warmup_s)
        self.trace = Trace(self.env) if is_traced else None
        self._perfetto = None if trace_file is None else Perfetto(self.env, trace_file)
        self.checkers = [checker(self) for checker in checkers]
        watching = [each for each in self.checkers if each.order in ("", self.settings.order)]
        watchers = [self.recorder, self.mirror if checkers else None, self.trace, *watching, self._perfetto]
        self.hub.add([each for each in (*watchers, self.why if follow else None) if each is not None])
        self.start_core(self.core, FIRST)

    def __repr__(self) -> str:
        return f"<world at {self.env.now:.3f} s: {self.core.dispatcher!r}>"

    def _delay(self, delay_ms: float | Distribution, part: str) -> Draw | None:
        delay = distribution(delay_ms)
        return None if is_zero(delay) else draws(delay, generator(self.seed, f"delay/{part}"), scale=0.001)

    # ---- actions

    def add_nodes(
        self, count: int, pairs: Sequence[str], slots: int = 1, speed: float = 1.0, name: str = "gpu"
    ) -> list[SimNode]:
        """Start `count` nodes, name-1, name-2, …; they connect now and register when the world runs."""
        added = []
        with self.loop.entered():
            for _ in range(count):
                number = self._numbers[name] = self._numbers.get(name, 0) + 1
                node = self.variant.node(self.door, f"{name}-{number}", list(pairs), slots, speed, self._node_random)
                self.nodes.append(node)
                self._nodes_by_id[node.node_id] = node
                added.append(node)
                node.start()
        return added

    def submit(
        self,
        pair: str,
        work_s: float,
        *,
        request_id: str = "",
        audio_bytes: int = 1000,
        session_id: str = "",
        affinity: bool = False,
        timeout_s: float | None = None,
        share: Share = EQUAL,
    ) -> Job:
        """Submit a job to the dispatcher, without the delay of a client. Raises Rejected."""
        self._requests += 1
        timeout_ms = None if timeout_s is None else round(timeout_s * 1000)
        request = Request(
            request_id or f"r{self._requests}", pair, work_s, audio_bytes, session_id, affinity, timeout_ms, share=share
        )
        with self.loop.entered():
            return self.clients.request_now(request)

    def cancel(self, job: Job) -> None:
        """Cancel a job as its client."""
        with self.loop.entered():
            self.core.dispatcher.cancel(job.job_id)

    def do(self, action: Callable[..., object], *args: object) -> None:
        """Call `action`, a method of a node or of the scheduler, now; its effects follow when the world runs."""
        with self.loop.entered():
            action(*args)

    # ---- state

    def node(self, node_id: str) -> SimNode:
        """Return the simulated node `node_id`."""
        return self._nodes_by_id[node_id]

    def holder(self, job: Job) -> SimNode | None:
        """Return the node that the job is allocated to, or None while it waits and after it has ended."""
        return self._nodes_by_id[job.node_id] if job.state == DISPATCHED else None

    def state(self, job: Job) -> str:
        """Return the state of the job."""
        return job.state

    def attempts(self, job: Job) -> int:
        """Return the number of allocations of the job."""
        return job.attempt

    # ---- targets of faults

    def draw_client(self, random: Random) -> Client | None:
        """Return the client of one of the open requests, or None when there are none."""
        return draw_client(self.clients, random)

    def client_named(self, name: str) -> Client | None:
        """Return the client `name`, or None when it has no open request."""
        return client_named(self.clients, name)

    def make_whole(self, node: SimNode) -> None:
        """Start or resume `node`, whichever fault it had."""
        make_whole(node)

    # ---- the end

    def drain(self) -> None:
        """Heal all faults, and run until every client has received the end of its request."""
        self.do(self.faults.heal_all)
        self.run_until(lambda: not self.clients.open, at_most_s=self.drain_at_most_s)

    def come_to_rest(self) -> None:
        """Drain, wait for the end of retention, and run the final checks."""
        settings = self.settings
        self.drain()
        self.run(for_s=settings.retention_s + settings.cleanup_interval_s + 1)
        self.jobs_at_end = self.core.table.finished
        rest_s = settings.lease_s + 2 * settings.store_sweep_s
        if self.starts > 1:  # reservations of a dead scheduler are unknown; they end when they are due, by its clock
            rest_s += settings.dispatch_timeout_s + CLOCK_OFF_MS / 1000
        self.run(for_s=rest_s)
        self.end_checks()

    def finish(self) -> list[str]:
        """Come to rest and stop; return the result of broken_checkers."""
        if not self._is_stopped:
            self.come_to_rest()
        broken = self.broken_checkers()
        self.stop()
        return broken

    def stop(self) -> None:
        """Stop the scheduler and close all resources of the run."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self.loop.run_until_complete(self.core.stop())
        self.close()

    def close(self) -> None:
        """Close all resources of the run, whatever its state."""
        self._is_stopped = True
        if isinstance(self.store, RealStore):
            self.store.close()
        if self._perfetto is not None:
            self._perfetto.close()
            self._perfetto = None
