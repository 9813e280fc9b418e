"""The seam between a worker node and the work itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voxpool.scheduler.errors import ConfigError, VoxpoolError

BATCH_MAX = 500
"""Jobs in a batch: a worker has slots for two of them, and a node has 1000 slots at most."""
GATHER_MS_MAX = 10_000


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
    send_partial: Callable[[Any], None] | None = field(default=None, compare=False, repr=False)
    """What `partial` calls; None when no client wants partial results."""

    @property
    def wants_partials(self) -> bool:
        """Whether a client wants partial results."""
        return self.send_partial is not None

    def partial(self, output: Any) -> None:
        """Send what is known so far of the output, if a client wants that; `output` must not change afterwards.

        It may be called in any thread, as often as there is news, and never waits. It replaces the partials before it,
        and the client may miss any of them. An output that can't be sent ends the partials of this work, not the work.
        """
        if self.send_partial is not None:
            self.send_partial(output)


Engine = Callable[[Work], Any]
"""Returns the output: anything that JSON can express. It is called in a thread, in several at once when slots > 1; one
that is `async` is called on the loop."""


@dataclass(frozen=True, slots=True)
class Batch:
    """An engine that works on several jobs of one language pair in one call.

    `function` takes a list of at most `max` Works, 1 to 500, and returns a list with one output for each. An exception
    in the place of an output is the error of that job alone; one that the function raises is the error of each job.
    After a batch at most `gather_ms`, 0 to 10,000, are spent on filling the next one. Raises ConfigError.
    """

    function: Callable[[list[Work]], Any]
    max: int = 8
    gather_ms: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.max <= BATCH_MAX:
            raise ConfigError(f"max = {self.max}: a batch has 1 to {BATCH_MAX} jobs")
        if not 0 <= self.gather_ms <= GATHER_MS_MAX:
            raise ConfigError(f"gather_ms = {self.gather_ms}: write 0 to {GATHER_MS_MAX} milliseconds")

    @property
    def slots(self) -> int:
        """The slots of its worker: for the batch at work, and for the next one, whose jobs come at the same time."""
        return 2 * self.max


class WorkFailed(VoxpoolError):
    """An attempt that an engine can't complete. `retryable`: another node may succeed."""

    def __init__(self, reason: str, detail: str = "", *, retryable: bool = False) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail
        self.retryable = retryable
