"""An event loop on which an unhandled exception ends the run at once, with its cause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from voxpool.sim.virtual_time.unsupported import RefusingLoop


class RunFailed(RuntimeError):
    """A task or callback raised an exception that was not handled; it is the cause of this one."""


class LoudLoop(RefusingLoop):
    """Collects exceptions: the run loop checks `_failures` after each turn, `_raised` at the end of the instant.

    An exception of a task counts as handled when another task retrieves it before the end of the instant.
    """

    def __init__(self) -> None:
        self._at_end: list[Callable[[], None]] = []
        """Functions that the run loop calls once at the end of the current instant."""
        self._failures: list[dict[str, Any]] = []
        self._raised: list[asyncio.Task[Any]] = []
        self._handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task._log_traceback:
            self._raised.append(task)
            self._at_end.append(self._look_at_raised)

    def _look_at_raised(self) -> None:
        """End the run if no other task has retrieved an exception by the end of the instant."""
        raised, self._raised = self._raised, []
        for task in raised:
            if task._log_traceback:
                coro = getattr(task.get_coro(), "__qualname__", task.get_name())
                self.call_exception_handler({"message": f"task {coro} raised", "exception": task.exception()})
        if self._failures:
            self._raise_failure()

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        self._handler = handler

    def get_exception_handler(self) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None:
        return self._handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Store the failure; the loop raises it before its next step, and the run ends."""
        self._failures.append(context)
        self._at_end.append(self._look_at_raised)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._handler is not None:
            self._handler(self, context)
        else:
            self.default_exception_handler(context)

    def _raise_failure(self) -> None:
        failures, self._failures = self._failures, []
        first = failures[0]
        error = first.get("exception")
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise RunFailed(f"{first['message']} at {self.time():.6f} s: {error!r}{more}") from error
