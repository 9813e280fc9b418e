"""A world whose ends are production code: one scheduler, SDK workers and clients on machines of one network.

Everything is drawn from one seed. The recorder, the trace and the checkers of the simulation observe the scheduler's
core; the ledger checks what the clients receive.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, TextIO

import msgspec

from voxpool.scheduler.config import FAIR, Settings
from voxpool.scheduler.core.composition import Core
from voxpool.scheduler.service.serve import serve
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.logs.events import LEVELS, Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.scheduler.web.app import Doors
from voxpool.sim.chance.distributions import Distribution, Draw, draws, is_zero
from voxpool.sim.chance.seeds import generator, plain_random
from voxpool.sim.checkers import CHECKERS, ABusyNodeRests, AnOldResultChangesNothing, Checker, EveryResultIsItsOwn
from voxpool.sim.faults import Faults, faults_of
from voxpool.sim.network.loop import NetworkLoop
from voxpool.sim.network.network import Network
from voxpool.sim.network.process import Process
from voxpool.sim.observing.perfetto import Perfetto
from voxpool.sim.observing.recorder import Recorder
from voxpool.sim.observing.trace import Trace
from voxpool.sim.observing.watch import Hub
from voxpool.sim.observing.why import FollowedJobs
from voxpool.sim.scenario.scenario import Traffic, distribution
from voxpool.sim.virtual_time.clock import VirtualClock
from voxpool.sim.wire.audio import wav
from voxpool.sim.wire.ends import Ends, Requests
from voxpool.sim.wire.http_client import WireHttpClient
from voxpool.sim.wire.ledger import Asked, Ledger, digest_of
from voxpool.sim.wire.machine import MachineClock, SimulatedMachine
from voxpool.sim.wire.partial_checkers import SessionMessages
from voxpool.sim.wire.peers import SCHEDULER, Peer, WireNode
from voxpool.sim.wire.sdk_client import SdkClient, WireClient
from voxpool.sim.wire.tokens import write_tokens
from voxpool.sim.world.clients import Request
from voxpool.sim.world.mirror import StoreMirror
from voxpool.sim.world.observed_world import ObservedWorld
from voxpool.sim.world.stores import StoreSeam

PORT = 5010
NO_SCHEDULER = "nobody"
"""The name of the empty core that stands in while no scheduler runs."""
ENDING_S = 0.2
"""The time between two looks whether a scheduler that was asked to stop has ended."""
UNEXPECTED = frozenset({Event.HTTP_SERVER, Event.SCHEDULER_FAILED})
"""Events that report a bug of the scheduler, whatever their level."""
EXPECTED = frozenset({Event.OPEN_TO_ALL, Event.STORE_FAILED})
"""Errors that faults and settings of a run cause."""
NOT_OBSERVED = (ABusyNodeRests, AnOldResultChangesNothing, EveryResultIsItsOwn)
"""Checkers that need to see each message of a node as it arrives, and the one whose work the ledger does."""
DRAIN_AT_MOST_S = 6 * 3600.0
"""Virtual time in which every job ends, with the timeouts of a scenario."""


class WireWorld(ObservedWorld):
    """One run. `delay_ms` is the delay of a segment on each link; with a `token_file` tokens are needed; with
    `cuts_reads` reads end at any byte.

    Raises msgspec.ValidationError for settings that are not valid; a scenario's are checked before.
    """

    loop: NetworkLoop
    store: MemoryStore
    doors: Doors | None

    def __init__(
        self,
        *,
        seed: int,
        settings: Mapping[str, Any] | None = None,
        delay_ms: float | Distribution = 0.0,
        store_delay_ms: float | Distribution = 0.0,
        overhead_ms: float | Distribution = 0.0,
        warmup_s: float = 0.0,
        token_file: Path | None = None,
        cuts_reads: bool = True,
        checkers: Sequence[type[Checker]] = CHECKERS,
        trace_file: TextIO | None = None,
    ) -> None:
        self.seed = seed
        self.tokens = {} if token_file is None else write_tokens(token_file, seed)
        here = {"host": "0.0.0.0", "port": PORT, "store": "memory", "access_file": str(token_file or "")}  # nosec B104
        self.settings = msgspec.convert({**(settings or {}), **here}, Settings)
        self.loop = NetworkLoop()
        self.env = self.loop.env
        self.clock = VirtualClock(self.env)
        self.network = Network(self.loop, plain_random(seed, "network"), self._delay(delay_ms, "links") or _no_time)
        self.network.cuts_reads = cuts_reads
        # An address: without tokens a scheduler refuses names that a foreign page could have brought.
        self.address = self.network.address(SCHEDULER)
        self.url = f"ws://{self.address}:{PORT}"
        self.hub = Hub()
        self.why = FollowedJobs(self.clock, ())
        self.store = MemoryStore()
        store_delay_s = self._delay(store_delay_ms, "store")
        self.store_seam = StoreSeam(self.loop, self.store, self.hub, store_delay_s, self.mark)
        self.overhead_s = self._delay(overhead_ms, "service") or _no_time
        self.clients = Requests(self.env, self.hub)
        self.nodes: list[WireNode] = []
        self.client_machines: dict[str, WireClient] = {}
        self.core, self.doors, self.instance = self._empty_core(), None, NO_SCHEDULER
        self.starts = 0
        self.jobs_at_end = 0
        self.drain_at_most_s = DRAIN_AT_MOST_S
        self.faults = Faults(self, faults_of("wire"))
        self._process: Process | None = None
        self._ending: Process | None = None
        """The process that was asked to stop."""
        self._numbers: dict[str, int] = {}

        self.mirror = StoreMirror()
        self.recorder = Recorder(self, warmup_s)  # type: ignore[arg-type]
        self.trace = Trace(self.env)
        self._perfetto = None if trace_file is None else Perfetto(self.env, trace_file)
        self.ledger = Ledger(self)
        observed = [checker for checker in checkers if checker not in NOT_OBSERVED]
        self.not_observed = [checker.sentence for checker in checkers if checker in NOT_OBSERVED]
        self.session_messages = SessionMessages(self, self.ledger)
        all_jobs = [checker(self) for checker in observed]  # type: ignore[arg-type]
        self.checkers = [*all_jobs, self.ledger, *self.session_messages.checkers]
        self.hub.add([self.recorder, self.mirror, self.trace, *self.checkers])
        self.hub.add([*([self._perfetto] if self._perfetto else []), Ends(self.clients, self.hub)])
        self.hub.scheduler_built()

    def __repr__(self) -> str:
        return f"<wire world at {self.env.now:.3f} s: {self.core.dispatcher!r}>"

    def _delay(self, delay_ms: float | Distribution, part: str) -> Draw | None:
        delay = distribution(delay_ms)
        return None if is_zero(delay) else draws(delay, generator(self.seed, f"delay/{part}"), scale=0.001)

    def node(self, node_id: str) -> WireNode:
        """Return the node of that id."""
        return next(node for node in self.nodes if node.node_id == node_id)

    # ---- the scheduler

    def _empty_core(self) -> Core:
        return Core.build(
            settings=self.settings,
            clock=self.clock,
            runner=self.store_seam,
            sink=self.clients,
            observer=self.hub,
            random=plain_random(self.seed, NO_SCHEDULER),
            instance=NO_SCHEDULER,
        )

    def start_scheduler(self) -> None:
        """Run `serve` as a process of its own."""
        self.starts += 1
        name, observers = f"serve/{self.starts}", [*self.hub.watchers]
        machine = SimulatedMachine(self.network, self.seed, name, self.store, self.store_seam, observers, self._built)
        log = Log(self._logged, LEVELS["warning"], MachineClock(self.env))
        process = self._process = self.network.process(SCHEDULER)
        process.at_end = self._scheduler_ended

        async def main() -> None:
            await serve(self.settings, log, machine)

        process.start(main)

    def crash_scheduler(self) -> None:
        """Kill the process with all jobs in its memory."""
        self._ending = None
        if self._process is not None:
            self._process.kill()

    def stall_scheduler(self) -> None:
        """Pause the process."""
        if self._process is not None:
            self._process.freeze()

    def resume_scheduler(self) -> None:
        """Resume the process."""
        if self._process is not None:
            self._process.thaw()

    def terminate_scheduler(self) -> None:
        """Send SIGTERM: it drains, hands back its jobs and ends."""
        self._ending = self._process
        if self._process is not None:
            self._process.signal(signal.SIGTERM)

    def start_scheduler_when_ended(self) -> None:
        """Start a new scheduler as soon as the one that was asked to stop has ended, unless another fault ends it."""
        if self._ending is not None and self._ending.is_alive:
            self.loop.after(ENDING_S, self.start_scheduler_when_ended)
        elif self._ending is not None:
            self._ending = None
            self.start_scheduler()

    def _built(self, core: Core, doors: Doors) -> None:
        self.core, self.doors, self.instance = core, doors, core.dispatcher.instance
        self.hub.scheduler_built()

    def _scheduler_ended(self) -> None:
        if self.instance != NO_SCHEDULER:
            self.hub.scheduler_gone()
            self.store_seam.sender_died()
            self.clients.by_job.clear()
            self.core, self.doors, self.instance = self._empty_core(), None, NO_SCHEDULER
            self.hub.scheduler_built()

    def _logged(self, event: Event, fields: dict[str, Any] | str) -> None:
        if event in UNEXPECTED or (event.level >= LEVELS["error"] and event not in EXPECTED):
            self.ledger.broke(f"the scheduler logged {event.value} {str(fields)[:600]}")

    # ---- nodes

    def add_nodes(
        self, count: int, pairs: Sequence[str], slots: int = 1, speed: float = 1.0, name: str = "gpu"
    ) -> list[WireNode]:
        """Start `count` machines with workers, name-1, name-2, …"""
        added = []
        for _ in range(count):
            number = self._numbers[name] = self._numbers.get(name, 0) + 1
            node = WireNode(self, f"{name}-{number}", list(pairs), slots, speed)
            self.nodes.append(node)
            added.append(node)
            node.start()
        return added

    def make_whole(self, peer: Peer) -> None:
        """Start or resume `peer`, whichever fault it had."""
        if peer.state == "down":
            peer.start()
        peer.thaw()

    # ---- clients

    def add_client(self, name: str, traffic: Traffic) -> WireClient:
        """Return the client of that name, which is started when it is new."""
        client = self.client_machines.get(name)
        if client is None:
            client = (
                WireHttpClient(self, name)
                if traffic.over == "http"
                else SdkClient(self, name, traffic.over == "in_order", traffic.retries > 0)
            )
            self.client_machines[name] = client
            client.start()
        return client

    def ask(self, client: WireClient, request: Request, in_order: bool) -> None:
        """Let `client` submit `request`, with audio of its own."""
        audio = wav(request.request_id, request.audio_bytes)
        number = len(self.ledger.of(client.name))
        asked = Asked(client.name, number, request.request_id, request.pair, audio, in_order, digest_of(audio))
        asked.timeout_ms, asked.affinity, asked.partials = request.timeout_ms, request.affinity, request.partials
        if self.settings.order == FAIR:
            asked.priority, asked.key = request.share.priority, request.share.key or None
        self.ledger.asks(asked)
        self.clients.make(request)
        client.take(asked)

    def received(self, request_id: str, life: int, result: Any) -> None:
        """A client has received the end of a request."""
        state = getattr(result, "state", None) or "rejected"
        self.clients.record_result(request_id, state, getattr(result, "output", None))
        self.ledger.received(self.ledger.asked[request_id], life, result)

    def draw_client(self, random: Random) -> Peer | None:
        """Return one of the clients, or None when there are none."""
        clients = list(self.client_machines.values())
        return clients[int(random.random() * len(clients))] if clients else None

    def client_named(self, name: str) -> Peer | None:
        """Return the client `name`, or None when it has sent nothing yet."""
        return self.client_machines.get(name)

    # ---- the end

    def drain(self) -> None:
        """Heal all faults, and run until every client has received the end of its requests and has ended."""
        self.faults.heal_all()
        for client in self.client_machines.values():
            self.make_whole(client)
            client.close()
        self.run_until(self._clients_have_ended, at_most_s=self.drain_at_most_s)

    def come_to_rest(self) -> None:
        """Drain, let all timeouts and retention pass, and run the final checks."""
        settings = self.settings
        self.drain()
        self.run(settings.session_grace_s + settings.retention_s + settings.cleanup_interval_s + 1)
        self.jobs_at_end = self.core.table.finished
        rest_s = settings.lease_s + 2 * settings.store_sweep_s
        if self.starts > 1:  # reservations of a dead scheduler are unknown; they end when they are due
            rest_s += settings.dispatch_timeout_s
        self.run(rest_s)
        self.end_checks()

    def _clients_have_ended(self) -> bool:
        return not self.ledger.waiting and not any(client.is_whole for client in self.client_machines.values())

    def leftovers(self) -> dict[str, int]:
        """Return what must be zero when every client has ended: what -> count."""
        assert self.doors is not None and self._process is not None, "the scheduler runs when all faults are over"
        sdk_clients = [client for client in self.client_machines.values() if isinstance(client, SdkClient)]
        return {
            "sessions": len(self.doors.sessions),
            "results": len(self.doors.sessions.results),
            "attempts of workers": sum(node.unanswered for node in self.nodes),
            "requests of clients": sum(client.unanswered for client in sdk_clients),
            "connections of the scheduler": len(self._process.transports) - sum(node.is_whole for node in self.nodes),
        }

    def stop(self) -> None:
        """End all processes; nothing of them stays for the garbage collector."""
        if not self._is_stopped and (left := self._end()):
            raise RuntimeError(f"{len(left)} tasks can't be cancelled: {left[:3]}")

    def close(self) -> None:
        """End all processes, whatever the state of the run."""
        self._end()

    def _end(self) -> list[asyncio.Task[Any]]:
        self._is_stopped = True
        for process in self.network.processes.values():
            process.at_end = None
            process.kill()
        if self._perfetto is not None:
            self._perfetto.close()
            self._perfetto = None
        return self.loop.bury()


def _no_time() -> float:
    return 0.0


__all__ = ["WireWorld"]
