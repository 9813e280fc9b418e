"""The options that several calls of the clients share, so that each stands in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from voxpool.scheduler.protocol.messages import JobResult


class JobOptions(TypedDict, total=False):
    """What a submit may say about its job; what it leaves out is as the scheduler's settings say."""

    timeout_ms: int | None
    """How long the job may take from its submit to its end, in every state."""
    session_affinity: bool
    """Prefer the node of the session's last job."""
    why: bool
    """Let the scheduler keep what it decides about the job, for the call `why`."""
    attempts_max: int | None
    """How many attempts may fail, 1 to 20."""
    backoff_ms: int | None
    """The pause before the next attempt after a worker's error, 0 to 60,000; it doubles each time."""
    priority: int | None
    """1 to 5; 1 comes first, 3 is the default. It counts when the scheduler's setting order is `fair`."""
    key: str | None
    """Whose turn the job takes, for a token that may name keys."""


class ClientOptions(TypedDict, total=False):
    """The options of a client, as `Client` explains them."""

    token: str | None
    ca_file: str | Path | None
    session_id: str | None
    resume: bool
    on_result: Callable[[JobResult], None]
    in_flight_max: int
    give_up_s: float
    retry_s: float
    ping_s: float
    in_order: bool
