"""Partial results on their way to the scheduler: the newest of each work waits, and the others are dropped.

A work may send from any thread and as often as it likes. While the connection is busy, a new one replaces what waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.codec import check_output
from voxpool.scheduler.protocol.messages import NodePartial

Send = Callable[[NodePartial], Awaitable[None]]
"""Sends a partial, or drops it when there is no connection; waits while the connection is busy."""


class Partials:
    """The partial results of all works of a worker. `on_event` gets why one can't be sent, once for each work."""

    def __init__(self, send: Send, on_event: Callable[[str], None]) -> None:
        self.output_bytes_max = 0
        """The largest output; the scheduler says it."""
        self._send = send
        self._on_event = on_event
        self._due: dict[PartialsOfWork, None] = {}
        self._sender: asyncio.Task[None] | None = None

    def of(self, job_id: str, attempt: int) -> PartialsOfWork:
        """Return the handle of a work that begins."""
        return PartialsOfWork(job_id, attempt, asyncio.get_running_loop(), self._is_due)

    async def close(self) -> None:
        """Send no more."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    def _is_due(self, work: PartialsOfWork) -> None:
        self._due[work] = None
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._due:
            work = next(iter(self._due))
            del self._due[work]
            partial = work.take()
            if partial is None:
                continue
            try:
                check_output(partial.output, self.output_bytes_max)
            except BadInput as error:
                work.end()
                self._on_event(f"{partial.job_id}: no partial results: {error.reason}: {error.detail}")
            else:
                await self._send(partial)


class PartialsOfWork:
    """Called by a work, in any thread, with what it knows so far of its output."""

    def __init__(
        self, job_id: str, attempt: int, loop: asyncio.AbstractEventLoop, is_due: Callable[[PartialsOfWork], None]
    ) -> None:
        self._job_id, self._attempt = job_id, attempt
        self._loop, self._is_due = loop, is_due
        self._lock = threading.Lock()
        self._newest: NodePartial | None = None
        self._sent = 0
        self._has_ended = False

    def __call__(self, output: Any) -> None:
        """Let `output` replace what waits to be sent."""
        with self._lock:
            if self._has_ended:
                return
            is_first, self._newest = self._newest is None, NodePartial(self._job_id, self._attempt, self._sent, output)
            self._sent += 1
        if not is_first:
            return
        try:
            is_on_the_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_on_the_loop = False
        if is_on_the_loop:
            self._is_due(self)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has ended without this thread
                self._loop.call_soon_threadsafe(self._is_due, self)

    def take(self) -> NodePartial | None:
        """Return what is to be sent now; None after `end`."""
        with self._lock:
            newest, self._newest = self._newest, None
            return newest

    def end(self) -> None:
        """The result follows, or the attempt was cancelled: nothing is sent from now on."""
        with self._lock:
            self._has_ended, self._newest = True, None
