"""A process of the simulated world: its tasks, sockets and signal handlers, which end with it."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from voxpool.sim.virtual_time.loop_internals import Handle, Timer

if TYPE_CHECKING:
    from voxpool.sim.network.loop import NetworkLoop
    from voxpool.sim.network.sockets import ListeningSocket
    from voxpool.sim.network.transport import MemoryTransport

PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")
"""The process that the running code belongs to. Tasks, timers and transports inherit it with their context."""


class Process:
    """One life of a program on the machine `name`. A machine runs one process at a time.

    It ends when `main` ends, at `kill`, or at a signal without a handler.
    """

    def __init__(self, loop: NetworkLoop, name: str) -> None:
        self.loop, self.name = loop, name
        self.is_alive = self.is_frozen = False
        self.is_off = False
        """True when the whole machine has lost its power: it answers nothing, not even with a reset."""
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.transports: dict[MemoryTransport, None] = {}
        self.listening: dict[ListeningSocket, None] = {}
        self.signals: dict[int, Callable[[], None]] = {}
        self.main: asyncio.Task[Any] | None = None
        self.at_end: Callable[[], None] | None = None
        """Called once when the process ends, however it does."""
        self.held: deque[Handle | Timer] = deque()
        """Callbacks that became due while the process was frozen."""

    def __repr__(self) -> str:
        state = "frozen" if self.is_frozen else "alive" if self.is_alive else "off" if self.is_off else "ended"
        return f"<process {self.name} {state}>"

    def start(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Run `main()` as this process; returns its task. The process ends when the task does."""
        if self.main is not None:
            raise RuntimeError(f"{self} was started before")
        self.is_alive = True
        context = contextvars.Context()
        context.run(PROCESS.set, self)
        task: asyncio.Task[Any] = self.loop.create_task(main(), context=context)
        task.add_done_callback(lambda _: self.kill(), context=contextvars.Context())
        self.main = task
        return task

    def signal(self, number: int) -> None:
        """Send the signal `number`: its handler runs (after the thaw of a frozen process), or the process ends."""
        if not self.is_alive:
            return
        handler = self.signals.get(number)
        if handler is None:
            self.kill()
        else:
            handler()

    def freeze(self) -> None:
        """Stop the process as SIGSTOP does: its sockets stay open, none of its code runs until `thaw`."""
        if self.is_alive and not self.is_frozen:
            self.is_frozen = True
            self.loop.froze(1)

    def thaw(self) -> None:
        """Let a frozen process go on; what became due in the meantime runs now, in its order."""
        if self.is_frozen:
            self.is_frozen = False
            self.loop.froze(-1)
            self.loop.run_held(self.held)

    def kill(self, power_off: bool = False) -> None:
        """End the process as SIGKILL does: no line of it runs again, `finally` blocks neither.

        The kernel closes its sockets. With `power_off` nothing does: its peers are not notified.
        """
        if not self.is_alive:
            return
        self.is_alive, self.is_off = False, power_off
        if self.at_end is not None:
            self.at_end()
        self.loop.forget(self)
        self.signals.clear()
        transports, self.transports = self.transports, {}
        for listening in list(self.listening):
            listening.close()
        for transport in transports:
            transport.process_ended(power_off)
