"""The records that HTTP answers with: jobs, nodes, pools, who waits, and problems. web/views.py makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from voxpool.scheduler.protocol.field_types import Times


class JobView(msgspec.Struct, omit_defaults=True):
    """A job in the answers of HTTP. `times_ms` is present when it has ended.

    `error` says why it did not complete, `detail` is a text for people beside that, and `retryable`, only of a job
    that failed, whether the same may succeed when it is submitted again.

    A job in back-off is queued again at `backoff_until_ms`; `detail` of an unfinished one says why its last attempt
    failed.

    `dispatched_ms` is when it was sent to `node_id`, as long as that one has it, or where it ended.
    """

    job_id: str
    request_id: str
    state: str
    pair: str
    attempts: int
    submitted_ms: int
    session_id: str = ""
    node_id: str = ""
    dispatched_ms: int = 0
    times_ms: Times | None = None
    output: Any = None
    error: str | None = None
    detail: str = ""
    retryable: bool | None = None
    backoff_until_ms: int = 0


class JobPage(msgspec.Struct):
    """Some of the jobs, newest first, without outputs; `next_cursor` asks for older ones, also of a short page.

    `total` counts all jobs of the caller; it is null when they are in Redis and the caller is no admin.
    """

    jobs: list[JobView]
    total: int | None
    next_cursor: str | None


class NodeView(msgspec.Struct):
    """A node in the answers of HTTP. `state` is joining, ready, draining or resting.

    `clock_ahead_ms` is its clock less the scheduler's when it registered (below 0: it is behind).
    """

    node_id: str
    state: str
    pairs: tuple[str, ...]
    slots: int
    running: int
    generation: str
    seen_ms: int
    clock_ahead_ms: int = 0


class PoolView(msgspec.Struct):
    """The nodes of one pair together, and the jobs that wait for them."""

    pair: str
    nodes: int = 0
    slots: int = 0
    running: int = 0
    waiting: int = 0


class PriorityWaiting(msgspec.Struct):
    """The waiting jobs of one priority; `oldest_ms` is how long the oldest of them has waited."""

    priority: int
    waiting: int
    oldest_ms: int


class KeyWaiting(msgspec.Struct):
    """The waiting jobs of one key: a token, or token/key for a gateway; "" without tokens.

    `part` is their part of all waiting jobs, 0 to 1; `priorities` is how many there are of each priority.
    """

    key: str
    waiting: int
    part: float
    priorities: dict[int, int]


class WaitingView(msgspec.Struct):
    """Whose jobs wait: `keys` keys have waiting jobs, and `top` are those with most of them."""

    waiting: int
    keys: int
    priorities: list[PriorityWaiting]
    top: list[KeyWaiting]


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of an error in HTTP (RFC 9457). `reason` is the stable word, as in the messages of WebSockets.

    A `retryable` request may be accepted when it is sent again after `retry_after_ms`; any other will not.
    """

    type: str
    title: str
    status: int
    detail: str
    reason: str
    retryable: bool
    instance: str | None = None
    retry_after_ms: int | None = None
