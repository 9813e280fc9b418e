"""A world whose ends are production code: one scheduler, SDK workers and clients on machines of one network.

Everything is drawn from one seed. The recorder, the trace and the checkers of the simulation observe the scheduler's
core; the ledger checks what the clients receive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.sdk import Client
from voxpool.scheduler.sdk.worker_node import Worker
from voxpool.scheduler.service.serve import serve
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.logs.events import LEVELS, Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.app import Doors
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.checkers import CHECKERS, ABusyNodeRests, AnOldResultChangesNothing
from voxpool.sim.network.loop import NetworkLoop
from voxpool.sim.network.network import Network
from voxpool.sim.network.process import Process
from voxpool.sim.observing.recorder import Recorder
from voxpool.sim.observing.trace import Trace
from voxpool.sim.observing.watch import Hub
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.wire.audio import wav
from voxpool.sim.wire.ends import Ends, Requests, WireNode
from voxpool.sim.wire.http_client import HttpProgram
from voxpool.sim.wire.ledger import Asked, Ledger, output_of
from voxpool.sim.wire.machine import MachineClock, SimulatedMachine
from voxpool.sim.wire.sdk_client import ClientProgram
from voxpool.sim.wire.tokens import write_tokens
from voxpool.sim.world.clients import Request
from voxpool.sim.world.mirror import StoreMirror
from voxpool.sim.world.nodes import Work
from voxpool.sim.world.observed_world import ObservedWorld
from voxpool.sim.world.stores import StoreSeam

SCHEDULER = "scheduler"
PORT = 5010
NO_SCHEDULER = "nobody"
"""The name of the empty core that stands in while no scheduler runs."""
UNEXPECTED = frozenset({Event.HTTP_SERVER, Event.SCHEDULER_FAILED})
"""Events that report a bug of the scheduler, whatever their level."""
NOT_OBSERVED = (ABusyNodeRests, AnOldResultChangesNothing)
"""Checkers that need to see each message of a node as it arrives; only the links of the model show it."""


class WireWorld(ObservedWorld):
    """One run. `delay_ms` bounds the delay of a segment on each link; with a `token_file` tokens are needed."""

    pair = "en:en"
    loop: NetworkLoop
    store: MemoryStore
    doors: Doors | None

    def __init__(
        self,
        *,
        seed: int,
        settings: dict[str, Any] | None = None,
        delay_ms: tuple[float, float] = (0.2, 3.0),
        token_file: Path | None = None,
    ) -> None:
        self.seed = seed
        self.tokens = {} if token_file is None else write_tokens(token_file, seed)
        here = {"host": "0.0.0.0", "port": PORT, "access_file": str(token_file or "")}  # nosec B104
        self.settings = msgspec.convert({**here, **(settings or {})}, Settings)
        self.loop = NetworkLoop()
        self.env = self.loop.env
        self.clock = VirtualClock(self.env)
        links, (low_ms, high_ms) = plain_random(seed, "links"), delay_ms
        self.network = Network(self.loop, plain_random(seed, "network"), lambda: links.uniform(low_ms, high_ms) / 1000)
        # An address: without tokens a scheduler refuses names that a foreign page could have brought.
        self.address = self.network.address(SCHEDULER)
        self.url = f"ws://{self.address}:{PORT}"
        self.hub = Hub()
        self.store = MemoryStore()
        self.store_seam = StoreSeam(self.loop, self.store, self.hub, None, self.mark)
        self.clients = Requests(self.env, self.hub)
        self.nodes: list[WireNode] = []
        self.workers: dict[str, Worker] = {}
        self.sdk_clients: dict[str, Client] = {}
        self.http_clients: dict[str, HttpProgram] = {}
        self.ledger = Ledger(self.env, self.settings.in_order_grace_s)
        self.core, self.doors, self.instance = self._empty_core(), None, NO_SCHEDULER
        self.starts = 0
        self.scheduler_is_away = False
        self.scheduler_fault_s = float("-inf")
        """When the last fault of the scheduler began."""
        self.jobs_at_end = 0
        self._lives: dict[str, int] = {}
        self._runs: dict[tuple[str, int, str], int] = {}
        self._crashed_s: dict[str, tuple[float, bool]] = {}
        """Client -> when its process was killed, and whether the scheduler could receive all that it had sent."""

        self.mirror = StoreMirror()
        self.recorder = Recorder(self)  # type: ignore[arg-type]
        self.trace = Trace(self.env)
        self.checkers = [
            checker(self)  # type: ignore[arg-type]
            for checker in CHECKERS
            if checker not in NOT_OBSERVED
        ]
        self.hub.add([self.recorder, self.mirror, self.trace, *self.checkers])
        self.hub.add([self.ledger, Ends(self.clients, self.hub)])
        self.hub.scheduler_built()

    def __repr__(self) -> str:
        return f"<wire world at {self.env.now:.3f} s: {self.core.dispatcher!r}>"

    def life(self, name: str) -> int:
        """Count one more process of the machine `name`, and return its number, 1 for the first."""
        self._lives[name] = self._lives.get(name, 0) + 1
        return self._lives[name]

    def process(self, name: str) -> Process:
        """Return the last process of the machine `name`."""
        return self.network.processes[name]

    def node(self, node_id: str) -> WireNode:
        """Return the node of that id."""
        return next(node for node in self.nodes if node.node_id == node_id)

    # ---- the scheduler

    def _empty_core(self) -> Core:
        return Core.build(
            settings=self.settings,
            clock=self.clock,
            runner=self.store_seam,
            sink=self.ledger,
            observer=self.hub,
            random=plain_random(self.seed, NO_SCHEDULER),
            instance=NO_SCHEDULER,
        )

    def start_scheduler(self) -> None:
        """Run `serve` as a process of its own."""
        self.starts += 1
        self.scheduler_is_away = False
        name = f"serve/{self.starts}"
        machine = SimulatedMachine(
            self.network, self.seed, name, self.store, self.store_seam, [*self.hub.watchers], self._built
        )
        log = Log(self._logged, LEVELS["info"], MachineClock(self.env))
        process = self.network.process(SCHEDULER)
        process.at_end = self._scheduler_ended

        async def main() -> None:
            await serve(self.settings, log, machine)

        process.start(main)

    def _built(self, core: Core, doors: Doors) -> None:
        self.core, self.doors, self.instance = core, doors, core.dispatcher.instance
        self.ledger.scheduler_started()
        self.hub.scheduler_built()

    def _scheduler_ended(self) -> None:
        """Its process has ended with all its memory."""
        if self.instance != NO_SCHEDULER:
            self.hub.scheduler_gone()
            self.clients.by_job.clear()
            self.core, self.doors, self.instance = self._empty_core(), None, NO_SCHEDULER
            self.hub.scheduler_built()

    def _logged(self, **fields: Any) -> None:
        event: Event = fields.pop("event")
        if event in UNEXPECTED or (event.level >= LEVELS["error"] and event is not Event.OPEN_TO_ALL):
            self.ledger.broken.append(f"the scheduler logged {event.value} {str(fields)[:600]}")

    # ---- nodes

    def start_node(self, name: str, work_s: Callable[[], float], slots: int = 1) -> None:
        """Run an SDK worker whose attempts take `work_s()` seconds."""
        life = self.life(name)
        if life == 1:
            self.nodes.append(WireNode(name, [self.pair], slots))
        node = self.node(name)

        def ended() -> None:
            for work in list(node.running.values()):
                self._work_ended(node, work, False)

        async def work(job: Any) -> Any:
            attempt = self._work_started(node, job, life)
            is_done = False
            try:
                await asyncio.sleep(work_s())
                is_done = True
            finally:
                self._work_ended(node, attempt, is_done)
            return output_of(job.job_id, job.audio)

        async def main() -> None:
            worker = self.workers[name] = Worker(
                self.url,
                node_id=name,
                pairs=[self.pair],
                work=work,
                slots=slots,
                token=self.tokens.get("node"),
                random=plain_random(self.seed, f"{name}/{life}"),
                clock=MachineClock(self.env),
            )
            await worker.run()

        process = self.network.process(name)
        process.at_end = ended
        process.start(main)

    def _work_started(self, node: WireNode, job: Any, life: int) -> Work:
        run = (job.job_id, job.attempt, f"{node.node_id}/{life}")
        self._runs[run] = self._runs.get(run, 0) + 1
        if self._runs[run] > 1:
            self.ledger.broken.append(f"attempt {run} ran {self._runs[run]} times")
        request = self.clients.by_job.get(job.job_id) or self.clients.submitting
        work = Work(job.job_id, job.attempt, request, self.env.now, 0.0)
        node.running[f"{job.job_id}|{job.attempt}"] = work
        self.hub.work_started(node, work)  # type: ignore[arg-type]
        return work

    def _work_ended(self, node: WireNode, work: Work, is_done: bool) -> None:
        if node.running.pop(f"{work.job_id}|{work.attempt}", None) is not None:
            node.busy_s += self.env.now - work.started_at
            self.hub.work_ended(node, work, is_done)  # type: ignore[arg-type]

    # ---- clients

    def start_client(
        self, name: str, jobs: int, gap_s: Callable[[], float], audio_bytes: int = 4000, in_order: bool = False
    ) -> None:
        """Run an SDK client that submits requests until it has `jobs`; a later process resumes the session."""
        program = ClientProgram(self, name, self.life(name), jobs, gap_s, audio_bytes, in_order)
        self.network.process(name).start(program.main)

    def start_http_client(self, name: str, jobs: int) -> None:
        """Run a client that speaks HTTP."""
        life = self.life(name)
        program = HttpProgram(self, name, life, jobs, plain_random(self.seed, f"{name}/{life}"))
        self.http_clients[name] = program
        self.network.process(name).start(program.main)

    def new_request(
        self, name: str, number: int, random: Random, audio_bytes: int = 4000, life: int = 1, in_order: bool = False
    ) -> Asked:
        """Return the request `number` of a client, with audio of its own; from now on its client waits for it."""
        request_id = f"{name}-{number}"
        samples = f"{request_id}/".encode() + random.randbytes(8) * (audio_bytes // 8)
        asked = Asked(name, number, wav(samples), request_id, life, in_order)
        self.ledger.asks(asked)
        self.clients.make(Request(request_id, self.pair, 0.0, len(asked.audio)))
        return asked

    def kill_client(self, name: str) -> None:
        """Kill the process of a client."""
        is_sure = not self.process(SCHEDULER).is_frozen and self.ledger.quiet_from_s.get(name, 0.0) < self.env.now
        self._crashed_s[name] = (self.env.now, is_sure)
        self.process(name).kill()

    def must_bring(self, asked: Asked) -> bool:
        """Whether a resumed session gets the result of `asked` without a new submit: the scheduler has its job."""
        crashed_s, is_sure = self._crashed_s[asked.client]
        return is_sure and asked.request_id in self.ledger.accepted and self.scheduler_fault_s < crashed_s - 1.0

    def received(self, request_id: str, life: int, result: Any) -> None:
        """A client has received the end of a request."""
        state = getattr(result, "state", type(result).__name__)
        self.clients.told(request_id, f"{state} {getattr(result, 'output', '')}")
        self.ledger.received(request_id, life, result)

    # ---- the end

    def come_to_rest(self, at_most_s: float = 600.0) -> None:
        """Run until every client has ended, let all time-outs and retention pass, and check what is left."""
        if not self.loop.run(until_s=self.env.now + at_most_s, done=self._clients_have_ended):
            left = [asked.request_id for asked in self.ledger.unanswered]
            self.ledger.broken.append(f"{len(left)} requests never ended: {left[:5]}; {self.loop.waiters()[:3]}")
            return
        settings = self.settings
        self.run(settings.session_grace_s + settings.retention_s + settings.cleanup_interval_s + 1)
        self.jobs_at_end = self.core.table.finished
        self.run(settings.lease_s + 2 * settings.store_sweep_s + settings.dispatch_timeout_s + 20)
        self._check_that_nothing_is_left()
        self.end_checks()

    def _clients_have_ended(self) -> bool:
        return not self.ledger.waiting and not any(
            self.process(name).is_alive for name in [*self.sdk_clients, *self.http_clients]
        )

    def _check_that_nothing_is_left(self) -> None:
        assert self.doors is not None, "the scheduler runs when all faults are over"
        connected = sum(self.process(node.node_id).is_alive for node in self.nodes)
        left = {
            "sessions": len(self.doors.sessions),
            "results": len(self.doors.sessions.results),
            "attempts of workers": sum(
                len(worker._running) + len(worker._unsent) + len(worker._cancelled) for worker in self.workers.values()
            ),
            "requests of clients": sum(len(client._session._requests) for client in self.sdk_clients.values()),
            "connections of the scheduler": len(self.process(SCHEDULER).transports) - connected,
        }
        self.ledger.broken += [f"{count} {what} are left" for what, count in left.items() if count]

    def stop(self) -> None:
        """End all processes; nothing of them stays for the garbage collector."""
        self._is_stopped = True
        for process in self.network.processes.values():
            process.at_end = None
            process.kill()
        left = self.loop.bury()
        if left:
            self.ledger.broken.append(f"{len(left)} tasks can't be cancelled: {left[:3]}")
