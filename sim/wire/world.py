"""A world whose ends are production code: one scheduler, SDK workers and SDK clients on machines of one network.

Everything is drawn from one seed, and the trace hash covers every event with its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from voxpool.scheduler.config import Settings
from voxpool.scheduler.sdk import Client
from voxpool.scheduler.sdk.worker_node import Worker
from voxpool.scheduler.service.serve import serve
from voxpool.scheduler.stores.memory import MemoryStore
from voxpool.scheduler.telemetry.logs.events import LEVELS, Event
from voxpool.scheduler.telemetry.logs.log import Log
from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.network.loop import NetworkLoop
from voxpool.sim.network.network import Network
from voxpool.sim.network.process import Process
from voxpool.sim.observing.trace import Trace
from voxpool.sim.wire.audio import wav
from voxpool.sim.wire.http_client import HttpProgram
from voxpool.sim.wire.ledger import Asked, Ledger, output_of
from voxpool.sim.wire.machine import MachineClock, SimulatedMachine
from voxpool.sim.wire.tokens import write_tokens

SCHEDULER = "scheduler"
PORT = 5010
PAIR = "en:en"
RESUME_S = 60.0
"""The time after which a resumed client has the results of its predecessor."""
LOOK_S = 0.5
UNEXPECTED = frozenset({Event.HTTP_SERVER, Event.SCHEDULER_FAILED})
"""Events that report a bug of the scheduler, whatever their level."""


class NodeOf(NamedTuple):
    """A node as the trace knows it."""

    node_id: str


class WorkOf(NamedTuple):
    """An attempt as the trace knows it."""

    job_id: str
    attempt: int


class RequestOf(NamedTuple):
    """A request as the trace knows it."""

    request_id: str


class WireWorld:
    """One run. `delay_ms` bounds the delay of a segment on each link; with a `token_file` tokens are needed."""

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
        self.settings = msgspec.convert(
            {
                "host": "0.0.0.0",  # nosec B104
                "port": PORT,
                "access_file": str(token_file or ""),
                **(settings or {}),
            },
            Settings,
        )
        self.loop = NetworkLoop()
        links, (low_ms, high_ms) = plain_random(seed, "links"), delay_ms
        self.network = Network(self.loop, plain_random(seed, "network"), lambda: links.uniform(low_ms, high_ms) / 1000)
        # An address: without tokens a scheduler refuses names that a foreign page could have brought.
        self.address = self.network.address(SCHEDULER)
        self.url = f"ws://{self.address}:{PORT}"
        self.trace = Trace(self.loop.env)
        self.ledger = Ledger(self.loop.env, self.settings.in_order_grace_s)
        self.store = MemoryStore()
        self.machine: SimulatedMachine | None = None
        self.workers: dict[str, Worker] = {}
        self.clients: dict[str, Client] = {}
        self.http_clients: dict[str, HttpProgram] = {}
        self.scheduler_starts = 0
        self.scheduler_is_away = False
        self.scheduler_fault_s = float("-inf")
        """When the last fault of the scheduler began."""
        self._lives: dict[str, int] = {}
        self._runs: dict[tuple[str, int, str], int] = {}
        self._crashed_s: dict[str, tuple[float, bool]] = {}
        """Client -> when its process was killed, and whether the scheduler could receive all that it had sent."""

    @property
    def now_s(self) -> float:
        """Virtual seconds."""
        return self.loop.env._now

    def life(self, name: str) -> int:
        """Return how many processes the machine `name` has had, and count one more."""
        self._lives[name] = self._lives.get(name, 0) + 1
        return self._lives[name]

    def process(self, name: str) -> Process:
        """Return the last process of the machine `name`."""
        return self.network.processes[name]

    # ---- the programs

    def start_scheduler(self) -> None:
        """Run `serve` as a process of its own."""
        self.scheduler_starts += 1
        self.scheduler_is_away = False
        self.ledger.scheduler_started()
        self.machine = SimulatedMachine(
            self.network, self.seed, f"serve/{self.scheduler_starts}", self.store, [self.ledger, self.trace]
        )
        log, machine = Log(self._logged, LEVELS["info"], MachineClock(self.loop.env)), self.machine

        async def main() -> None:
            await serve(self.settings, log, machine)

        self.network.process(SCHEDULER).start(main)

    def start_node(self, name: str, work_s: Callable[[], float], slots: int = 1) -> None:
        """Run an SDK worker whose attempts take `work_s()` seconds."""
        life = self.life(name)

        async def work(job: Any) -> Any:
            run = (job.job_id, job.attempt, f"{name}/{life}")
            self._runs[run] = self._runs.get(run, 0) + 1
            if self._runs[run] > 1:
                self.ledger.broken.append(f"attempt {run} ran {self._runs[run]} times")
            attempt = WorkOf(job.job_id, job.attempt)
            self.trace.work_started(NodeOf(name), attempt)  # type: ignore[arg-type]
            await asyncio.sleep(work_s())
            self.trace.work_ended(NodeOf(name), attempt, True)  # type: ignore[arg-type]
            return output_of(job.job_id, job.audio)

        async def main() -> None:
            worker = self.workers[name] = Worker(
                self.url,
                node_id=name,
                pairs=[PAIR],
                work=work,
                slots=slots,
                token=self.tokens.get("node"),
                random=plain_random(self.seed, f"{name}/{life}"),
                clock=MachineClock(self.loop.env),
            )
            await worker.run()

        self.network.process(name).start(main)

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
        """Return the request `number` of a client, with audio of its own."""
        request_id = f"{name}-{number}"
        samples = f"{request_id}/".encode() + random.randbytes(8) * (audio_bytes // 8)
        return Asked(name, number, wav(samples), request_id, life, in_order)

    def kill_client(self, name: str) -> None:
        """Kill the process of a client."""
        is_sure = not self.process(SCHEDULER).is_frozen and self.ledger.quiet_from_s.get(name, 0.0) < self.now_s
        self._crashed_s[name] = (self.now_s, is_sure)
        self.process(name).kill()

    def must_bring(self, asked: Asked) -> bool:
        """Whether a resumed session gets the result of `asked` without a new submit: the scheduler has its job."""
        crashed_s, is_sure = self._crashed_s[asked.client]
        return is_sure and asked.request_id in self.ledger.accepted and self.scheduler_fault_s < crashed_s - 1.0

    def received(self, request_id: str, life: int, result: Any) -> None:
        """A client has received the end of a request."""
        state = f"{getattr(result, 'state', type(result).__name__)} {getattr(result, 'output', '')}"
        self.trace.request_told(RequestOf(request_id), state)  # type: ignore[arg-type]
        self.ledger.received(request_id, life, result)

    def _logged(self, **fields: Any) -> None:
        event: Event = fields.pop("event")
        if event in UNEXPECTED or (event.level >= LEVELS["error"] and event is not Event.OPEN_TO_ALL):
            self.ledger.broken.append(f"the scheduler logged {event.value} {str(fields)[:600]}")

    # ---- time

    def run(self, for_s: float) -> None:
        """Let `for_s` virtual seconds pass."""
        self.loop.run(until_s=self.now_s + for_s)

    def finish(self, at_most_s: float = 600.0) -> None:
        """Run until every client has ended, let all time-outs pass, and check that nothing is left."""
        if not self.loop.run(until_s=self.now_s + at_most_s, done=self._clients_have_ended):
            left = [asked.request_id for asked in self.ledger.unanswered]
            self.ledger.broken.append(f"{len(left)} requests never ended: {left[:5]}; {self.loop.waiters()[:3]}")
        settings = self.settings
        self.run(settings.session_grace_s + settings.lease_s + 2 * settings.store_sweep_s + 20)
        self._check_that_nothing_is_left()

    def _clients_have_ended(self) -> bool:
        return not self.ledger.unanswered and not any(
            self.process(name).is_alive for name in [*self.clients, *self.http_clients]
        )

    def _check_that_nothing_is_left(self) -> None:
        machine = self.machine
        assert machine is not None and machine.core is not None and machine.doors is not None
        connected = sum(self.process(name).is_alive for name in self.workers)
        left = {
            "unfinished jobs": machine.core.table.unfinished,
            "sessions": len(machine.doors.sessions),
            "results": len(machine.doors.results) if hasattr(machine.doors, "results") else 0,
            "attempts of workers": sum(
                len(worker._running) + len(worker._unsent) + len(worker._cancelled) for worker in self.workers.values()
            ),
            "requests of clients": sum(len(client._session._requests) for client in self.clients.values()),
            "connections of the scheduler": len(self.process(SCHEDULER).transports) - connected,
        }
        self.ledger.broken += [f"{count} {what} are left" for what, count in left.items() if count]

    def stop(self) -> None:
        """End all processes; nothing of them stays for the garbage collector."""
        for process in self.network.processes.values():
            process.kill()
        left = self.loop.bury()
        if left:
            self.ledger.broken.append(f"{len(left)} tasks can't be cancelled: {left[:3]}")


class ClientProgram:
    """The program of one client process: submits, and, after a crash, resumes what its predecessor has begun."""

    def __init__(
        self,
        world: WireWorld,
        name: str,
        life: int,
        jobs: int,
        gap_s: Callable[[], float],
        audio_bytes: int,
        in_order: bool,
    ) -> None:
        self._world, self._name, self._life = world, name, life
        self._jobs, self._gap_s, self._audio_bytes, self._in_order = jobs, gap_s, audio_bytes, in_order
        self._random = plain_random(world.seed, f"{name}/audio/{life}")

    async def main(self) -> None:
        """Submit all requests and wait for their results."""
        world, ledger, name, life = self._world, self._world.ledger, self._name, self._life
        mine = ledger.of(name)
        before = [asked for asked in mine if not asked.is_answered]
        brought = [asked for asked in before if world.must_bring(asked)]
        client = world.clients[name] = Client(
            world.url,
            session_id=f"s-{name}",
            resume=life > 1,
            token=world.tokens.get("client"),
            on_result=lambda result: world.received(result.request_id, life, result),
            in_order=self._in_order,
            random=plain_random(world.seed, f"{name}/{life}"),
        )
        async with client, asyncio.TaskGroup() as group:
            for asked in before:
                if asked not in brought:
                    group.create_task(self._submit(client, asked))
            for number in range(len(mine), self._jobs):
                asked = world.new_request(name, number, self._random, self._audio_bytes, life, self._in_order)
                ledger.asks(asked)
                group.create_task(self._submit(client, asked))
                await asyncio.sleep(self._gap_s())
            if brought:
                await self._receive_brought(client, brought)

    async def _submit(self, client: Client, asked: Asked) -> None:
        try:
            result: Any = await client.submit(asked.audio, PAIR, request_id=asked.request_id)
        except Exception as error:
            result = error
        self._world.received(asked.request_id, self._life, result)

    async def _receive_brought(self, client: Client, brought: list[Asked]) -> None:
        """Wait for the results that resume brings; after a new start of the scheduler they are submitted again."""
        world, starts, until_s = self._world, self._world.scheduler_starts, self._world.now_s + RESUME_S
        while waiting := [asked for asked in brought if not asked.is_answered]:
            await asyncio.sleep(LOOK_S)
            is_lost = world.scheduler_is_away or starts != world.scheduler_starts
            if not is_lost and world.now_s > until_s and world.scheduler_fault_s < until_s - RESUME_S:
                world.ledger.broken.append(f"{[asked.request_id for asked in waiting]}: resume did not bring them")
            if is_lost or world.now_s > until_s:
                for asked in waiting:
                    if not asked.is_answered:
                        await self._submit(client, asked)
