"""The processes of a chaos run and the proxies between them. Faults take one at a time and give it back.

Each node and each client has a proxy of its own, which forwards to any living scheduler, as a load balancer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

from voxpool.loadtest.chaos._entries import now_s
from voxpool.loadtest.chaos._judge import Connected, Done
from voxpool.loadtest.chaos._sizes import Sizes
from voxpool.loadtest.chaos._store import Store
from voxpool.loadtest.processes._line import Line
from voxpool.loadtest.processes._own_process import OwnProcess, python
from voxpool.loadtest.processes._own_redis import free_port
from voxpool.loadtest.processes._own_scheduler import SchedulerProcess
from voxpool.loadtest.running._preflight import CannotLoad
from voxpool.scheduler.cli.exits import EXIT_WRONG_INPUT

START_S = 60.0
LOOK_S = 0.05
REFUSAL = "voxpool: "
"""The line of a scheduler that did not reach its store when it started; it is started again."""
EXPECTED = ("store_failed",)
"""Errors that a scheduler logs because of the faults."""
AGAIN_S = 0.5
"""Pause before a scheduler that has ended while it started is started again, as a supervisor does."""


class Scheduler:
    """One scheduler, on the same port in each of its lives."""

    def __init__(self, site: Site, number: int) -> None:
        self.name = f"scheduler-{number + 1}"
        self.number = number
        self.port = free_port()
        self.lives = 0
        self.logs: list[Path] = []
        self.ends: list[int | None] = []
        """Exit codes of lives that ended by themselves or by a request."""
        self._site = site
        self._process: SchedulerProcess | None = None

    @property
    def process(self) -> OwnProcess:
        """The running process."""
        assert self._process is not None
        return self._process.process

    async def start(self) -> None:
        """Start it, again when it ends at once; return when it listens. Raises CannotLoad."""
        until_s = time.monotonic() + START_S
        while True:
            sizes = self._site.sizes
            self.lives += 1
            arguments = ["--port", str(self.port), "--store", self._site.store.url(self.number), *sizes.flags()]
            begun = SchedulerProcess(self._site.folder, arguments, f"{self.name}.{self.lives}", sizes.program)
            self._process = begun
            self.logs.append(begun.log)
            try:
                while begun.url_if_started() is None:
                    if time.monotonic() > until_s:
                        raise CannotLoad(f"{self.name} did not start within {START_S:g} s: see {begun.log}")
                    await asyncio.sleep(LOOK_S)
                return
            except CannotLoad:
                if time.monotonic() > until_s or begun.process.exit_code == EXIT_WRONG_INPUT:
                    raise
                await asyncio.sleep(AGAIN_S)

    def kill(self) -> None:
        """Kill it. That it had ended before is noted."""
        if not self.process.runs:
            self.ends.append(self.process.exit_code)
        self.process.kill()

    async def stop(self) -> None:
        """Ask it to end, and wait for that."""
        process = self.process
        await asyncio.to_thread(process.stop, START_S)
        self.ends.append(process.exit_code)


class Worker:
    """One node."""

    def __init__(self, site: Site, number: int, line: Line) -> None:
        self.name = f"node-{number + 1}"
        self.line = line
        self._site = site
        self._number = number
        self.process = self._begin()

    def start(self) -> None:
        """Start it again."""
        self.process = self._begin()

    def _begin(self) -> OwnProcess:
        sizes = self._site.sizes
        pairs = ",".join(sizes.pairs_of(self._number))
        command = python("voxpool.loadtest.chaos._node", self.line.url, self.name, pairs, str(sizes.slots))
        return OwnProcess([*command, str(self._site.ledger)], self._site.folder / f"{self.name}.log")


class Site:
    """All of it. `busy` has the names of what a fault has at the time."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder = folder
        self.sizes = sizes
        self.ledger = folder / "ledger.jsonl"
        self.store = Store(folder, sizes.store, sizes.schedulers, sizes.replicas)
        self.schedulers = [Scheduler(self, number) for number in range(sizes.schedulers)]
        self.nodes: list[Worker] = []
        self.client_lines: list[Line] = []
        self.connected: list[Connected] = []
        self.done: list[Done] = []
        self.busy: set[str] = set()
        self.complaints: list[str] = []
        """What went wrong with the run itself."""
        self._clients: OwnProcess | None = None

    @property
    def clients(self) -> OwnProcess:
        """The process of the clients."""
        assert self._clients is not None
        return self._clients

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Start everything but the clients; return when the nodes are registered. Raises CannotLoad."""
        sizes = self.sizes
        await self.store.start(stack)
        stack.callback(self._kill)
        await asyncio.gather(*(scheduler.start() for scheduler in self.schedulers))
        for number in range(sizes.nodes):
            line = await stack.enter_async_context(self._line(f"node-{number + 1}").open())
            self.nodes.append(Worker(self, number, line))
        for number in range(sizes.clients):
            self.client_lines.append(await stack.enter_async_context(self._line(f"client-{number + 1}").open()))
        await self.wait_until(lambda: self._registered() == sizes.nodes, START_S, "not all nodes register")

    def start_clients(self) -> None:
        """Start the clients."""
        sizes = self.sizes
        pairs = ",".join(sizes.pair(number) for number in range(sizes.pairs))
        options = [pairs, str(sizes.in_flight), str(sizes.work_s), str(sizes.pause_s), str(sizes.audio_bytes)]
        command = python("voxpool.loadtest.chaos._clients", str(self.ledger), f"{sizes.seed} clients", *options)
        urls = [line.url for line in self.client_lines]
        self._clients = OwnProcess([*command, *urls], self.folder / "clients.log")

    @contextlib.contextmanager
    def fault(self, kind: str, target: str) -> Iterator[None]:
        """Note a fault of `target` from now until the block ends; nothing else breaks it meanwhile."""
        began_s = now_s()
        self.busy.add(target)
        try:
            yield
        finally:
            self.busy.discard(target)
            self.done.append(Done(kind, target, began_s, now_s()))

    async def wait_until(self, holds: object, within_s: float, else_: str) -> None:
        """Return when `holds()`. Raises CannotLoad after `within_s`."""
        until_s = time.monotonic() + within_s
        while not holds():  # type: ignore[operator]
            if time.monotonic() > until_s:
                raise CannotLoad(f"{else_} within {within_s:g} s")
            await asyncio.sleep(LOOK_S)

    def errors(self) -> list[str]:
        """Return the errors in the logs of the schedulers, and what is not a log line, such as a traceback."""
        found = []
        for scheduler in self.schedulers:
            for log in scheduler.logs:
                for line in log.read_text(errors="replace").splitlines():
                    if line.startswith(REFUSAL):
                        continue
                    if not line.startswith("{"):
                        found.append(f"{log.stem}: {line}")
                        continue
                    with contextlib.suppress(ValueError):  # cut by a kill
                        said = json.loads(line)
                        if said["level"] == "error" and said["event"] not in EXPECTED:
                            found.append(f"{log.stem}: {line}")
        return found

    def _line(self, name: str) -> Line:
        names = {scheduler.port: scheduler.name for scheduler in self.schedulers}
        chance = random.Random(f"{self.sizes.seed} {name}")

        def connected(port: int) -> None:
            self.connected.append(Connected(name, names[port], now_s()))

        return Line(*names, random=chance, connected=connected)

    def _registered(self) -> int:
        text = [node.process.output.read_text(errors="replace") for node in self.nodes]
        return sum("registered" in one for one in text)

    def _kill(self) -> None:
        for process in [self._clients, *(node.process for node in self.nodes)]:
            if process is not None:
                process.kill()
        for scheduler in self.schedulers:
            if scheduler.lives:
                scheduler.process.kill()
