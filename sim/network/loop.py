"""The virtual loop with processes and a network: sockets, signals and threads get an end in virtual time."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voxpool.sim.network.process import PROCESS, Process
from voxpool.sim.network.sockets import ListeningSocket, Server
from voxpool.sim.virtual_time.loop import VirtualLoop
from voxpool.sim.virtual_time.loop_internals import Handle, Timer

if TYPE_CHECKING:
    from voxpool.sim.network.network import Network

BURY_ROUNDS = 200
"""Times that the tasks of ended processes are cancelled; a task may catch a cancellation and await again."""


class NetworkLoop(VirtualLoop):
    """Adds to VirtualLoop what a server, a client or a worker needs: `create_server`, `create_connection`, signals.

    A thread takes no virtual time. Unix sockets, TLS, subprocesses and pipes are still refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network: Network | None = None
        self._frozen = 0
        """How many processes are frozen."""
        self._graveyard: list[asyncio.Task[Any]] = []
        self._has_dead = False
        """Whether any process has ended."""
        self._still: list[Handle | Timer] = []
        """What processes that have ended would have run: their tasks are woken up by what they waited for."""

    # ---- processes

    def create_task(self, coro: Any, *, name: object = None, context: Any = None, **options: Any) -> Any:
        task = super().create_task(coro, name=name, context=context, **options)
        process = PROCESS.get(None) if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks[task] = None
            task.process = process
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        process = task.process  # type: ignore[attr-defined]
        if process is not None:
            process.tasks.pop(task, None)
        super()._task_done(task)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = Handle(callback, args, context)
        if self._has_dead and self._is_of_dead(handle):
            self._still.append(handle)
        else:
            self._ready.append(handle)
        return handle

    def forget(self, process: Process) -> None:
        """Remove everything that `process`, which has ended, would still run."""
        self._has_dead = True
        if process.is_frozen:
            process.is_frozen = False
            self.froze(-1)
            self._still.extend(process.held)
            process.held.clear()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            (self._still if self._is_of_dead(handle) else self._ready).append(handle)
        for entry in list(self._queue):
            timer = entry[3]
            if type(timer) is Timer and not timer._cancelled and timer._context.get(PROCESS) is process:
                timer.cancel()
        for task in process.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        # A coroutine that is collected runs its `finally` blocks; these are kept until `bury`.
        self._graveyard.extend(process.tasks)
        process.tasks = {}

    def _is_of_dead(self, handle: Handle | Timer) -> bool:
        process = None if handle._cancelled else handle._context.get(PROCESS)
        return process is not None and not process.is_alive

    def run_held(self, held: deque[Handle | Timer]) -> None:
        """Run in the next turn what a frozen process had to hold back."""
        self._ready.extend(held)
        held.clear()

    def froze(self, count: int) -> None:
        """Note that `count` more processes are frozen; -1 for one that is not any more."""
        self._frozen += count
        self.is_stalled = self._frozen > 0

    def _has_turn_while_stalled(self) -> bool:
        """Take what belongs to frozen processes out of the turn."""
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            process = None if handle._cancelled else handle._context.get(PROCESS)
            if process is not None and process.is_frozen:
                process.held.append(handle)
            else:
                self._ready.append(handle)
        return bool(self._ready)

    def bury(self) -> list[asyncio.Task[Any]]:
        """Finish the tasks of ended processes; call it after the run. Returns those that can't be cancelled.

        A task that the garbage collector found later would run its `finally` blocks in the middle of another run.
        """
        self.set_exception_handler(lambda _loop, _context: None)
        self._has_dead = False
        logging.disable(logging.CRITICAL)
        try:
            with self.entered():
                for _ in range(BURY_ROUNDS):
                    self._queue.clear()
                    alive = [task for task in self._graveyard if not task.done()]
                    if not alive:
                        break
                    for task in alive:
                        task.cancel()
                    self._ready.extend(self._still)
                    self._still.clear()
                    while self._ready:
                        self._turn()
        finally:
            logging.disable(logging.NOTSET)
        left = [task for task in self._graveyard if not task.done()]
        self._graveyard.clear()
        return left

    # ---- what asyncio asks of a loop with sockets

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        context = contextvars.copy_context()
        PROCESS.get().signals[sig] = lambda: self._ready.append(Handle(callback, args, context))

    def remove_signal_handler(self, sig: int) -> bool:
        return PROCESS.get().signals.pop(sig, None) is not None

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Call `func` now: a thread takes no virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return self._network().addresses(host, port)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        if not isinstance(fd, ListeningSocket):
            super().add_reader(fd, callback, *args)
        fd.call_when_readable(callback, args)

    def remove_reader(self, fd: Any) -> bool:
        return bool(fd.call_no_more())

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **options: Any) -> Any:
        if options.get("ssl") is not None:
            return await super().connect_accepted_socket(protocol_factory, sock)
        return sock.end, sock.end.begin(protocol_factory)

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("ssl") is not None:
            return await super().create_server(protocol_factory, host, port)
        return Server(self, self._network().listen(port), protocol_factory)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if options.get("ssl") is not None or options.get("sock") is not None:
            return await super().create_connection(protocol_factory, host, port)
        return await self._network().connect(protocol_factory, host, port)

    def _network(self) -> Network:
        if self.network is None:
            raise RuntimeError("this loop has no network")
        return self.network
