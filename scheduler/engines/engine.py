"""The seam between a worker node and the work itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voxpool.scheduler.errors import VoxpoolError


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt of a job, as an engine sees it. `deadline_ms` is how long the scheduler waits, from the assign."""

    job_id: str
    attempt: int
    pair: str
    audio: bytes
    deadline_ms: int = 0
    session_id: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when the result is no longer wanted; an engine may stop early then."""
    trace: str | None = None
    """The traceparent (W3C) that the attempt belongs under, if there is one."""


Engine = Callable[[Work], Any]
"""Returns the output: anything that JSON can express. It is called in a thread, in several at once when slots > 1; one
that is `async` is called on the loop."""


class WorkFailed(VoxpoolError):
    """An attempt that an engine can't complete. `retryable`: another node may succeed."""

    def __init__(self, reason: str, detail: str = "", *, retryable: bool = False) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail
        self.retryable = retryable
