"""Messages between master and workers about the end of a test; a single process is a team of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

from voxpool.loadtest.running._part import Context
from voxpool.loadtest.users._state import STATE

FINAL_S = 30.0
"""Time that a master waits for the last figures of its workers after their users stopped; overload is slow."""
LOOK_S = 0.05
CLOSE, CLOSED, FINAL, REFUSED = "voxpool_close", "voxpool_closed", "voxpool_final", "voxpool_refused"
"""Messages: send no new jobs; all sent jobs have ended; the figures are complete; refused, with a reason."""


class Team:
    """The other processes of a run; on a master `refused` is called with the reason of a worker."""

    def __init__(self, context: Context, refused: Callable[[str], None]) -> None:
        self._context = context
        self._at_start: set[str] = set()
        self._finals: set[str] = set()
        self._closed: set[str] = set()
        if context.role == "master":
            context.runner.register_message(CLOSED, lambda msg, **_: self._closed.add(msg.node_id))
            context.runner.register_message(FINAL, lambda msg, **_: self._finals.add(msg.node_id))
            context.runner.register_message(REFUSED, lambda msg, **_: refused(f"a worker: {msg.data}"))
        elif context.role == "worker":
            context.runner.register_message(CLOSE, self._on_close, concurrent=True)

    def begin(self) -> None:
        """Begin a test."""
        self._finals.clear()
        self._closed.clear()
        if self._context.role == "master":
            self._at_start = self._workers()

    def close(self) -> None:
        """Stop new jobs in all processes, and wait up to `drain_s` for the sent ones."""
        drain_s = 0.0 if self._context.gone else self._context.options.drain_s
        STATE.close()
        if self._context.role == "master":
            self._context.runner.send_message(CLOSE, {"drain_s": drain_s})
            wait(lambda: self._workers() <= self._closed, drain_s + FINAL_S)
        else:
            wait(lambda: STATE.outstanding <= 0, drain_s)

    def gather(self) -> None:
        """Wait for the last figures of all workers; missing ones are recorded."""
        if self._context.role != "master":
            return
        wait(lambda: self._workers() <= self._finals, FINAL_S)
        lost = len(self._at_start - self._finals)
        if lost:
            self._context.missing.append(f"the last figures of {lost} of {len(self._at_start)} workers")

    def hand_over(self) -> None:
        """Send the last figures of a worker, and mark them as complete."""
        if self._context.role == "worker":
            self._context.runner._send_stats()  # its regular report is sent every 3 s only, too late for the master
            self._context.runner.send_message(FINAL)

    def refuse(self, why: str) -> None:
        """Let the master end the test, from a worker."""
        self._context.runner.send_message(REFUSED, why)

    def _on_close(self, msg: Any, **_: Any) -> None:
        STATE.close()
        wait(lambda: STATE.outstanding <= 0, float(msg.data["drain_s"]))
        self._context.runner.send_message(CLOSED)

    def _workers(self) -> set[str]:
        """Return the connected workers, without lost ones."""
        return {one.id for one in self._context.runner.clients.values() if one.state != "missing"}


def wait(holds: Callable[[], bool], patience_s: float) -> None:
    """Return when `holds()` is true, or after `patience_s`."""
    end_s = time.monotonic() + patience_s
    while not holds() and time.monotonic() < end_s:
        gevent.sleep(LOOK_S)
