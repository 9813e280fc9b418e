"""Structured logs: one JSON object a line (ts, level, event, fields), or coloured text on a terminal.

The events are listed in events.py. LogObserver turns what the dispatcher does into events; it writes ids, numbers and
stable words, never audio or output.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import structlog

from scheduler.clock import Clock
from scheduler.seams import Observer
from scheduler.telemetry.events import LEVELS, Event

if TYPE_CHECKING:
    from scheduler.job import Job
    from scheduler.node import Node

_LEVEL_NAMES = {number: name for name, number in LEVELS.items()}
_TEXT_MAX = 2000
"""Characters of one text field; a longer one is cut, so that the bytes of a line are bounded."""


class Log:
    """Writes events at or above a level. `field=None` is left out."""

    def __init__(self, write: Callable[..., Any], level: int) -> None:
        self._write = write
        self.level = level

    def __call__(self, event: Event, **fields: Any) -> None:
        """Write `event` with its fields."""
        if event.level >= self.level:
            self._write(event=event, **fields)


def open_log(stream: BinaryIO, clock: Clock, level: str = "info", pretty: bool = False) -> Log:
    """Return a log that writes to `stream`: JSON lines, or coloured text when `pretty`. `level` is a key of LEVELS."""

    second, second_text = -1, ""

    def head(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        nonlocal second, second_text
        now_s, now_ms = divmod(clock.now_ms(), 1000)
        if now_s != second:
            second, second_text = now_s, datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        event = fields.pop("event")
        line = {
            "ts": f"{second_text}.{now_ms:03d}Z",
            "level": _LEVEL_NAMES[event.level],
            "event": event.value,
        }
        for key, value in fields.items():
            if value is not None:
                line[key] = value[:_TEXT_MAX] if isinstance(value, str) else value
        return line

    def as_json(logger: Any, method: str, line: MutableMapping[str, Any]) -> bytes:
        return orjson.dumps(line, default=repr)

    render: list[Any] = [as_json]
    if pretty:
        console = structlog.dev.ConsoleRenderer(timestamp_key="ts", sort_keys=False)
        render = [console, lambda logger, method, text: text.encode(errors="replace")]
    logger = structlog.BoundLogger(structlog.BytesLogger(stream), [head, *render], {})
    return Log(logger.msg, LEVELS[level])


class StandardLogging(logging.Handler):
    """Carries warnings of the HTTP server, which uses the logging of the standard library, into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` as an event."""
        error = None
        if record.exc_info:
            error = logging.Formatter().formatException(record.exc_info)
        self._log(Event.HTTP_SERVER, message=record.getMessage(), logger=record.name, error=error)


class LogObserver(Observer):
    """Writes the events of jobs, nodes and the store."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def job_submitted(self, job: Job) -> None:
        """A job waits."""
        self._log(
            Event.JOB_SUBMITTED,
            job_id=job.job_id,
            session_id=job.session_id or None,
            pair=job.pair,
            audio_bytes=job.audio_bytes,
        )

    def job_rejected(self, pair: str, reason: str) -> None:
        """A submit was refused."""
        self._log(Event.JOB_REJECTED, pair=pair, reason=reason)

    def connection_refused(self, peer: str, reason: str) -> None:
        """A connection was not let in."""
        self._log(Event.CONNECTION_REFUSED, peer=peer, reason=reason)

    def peer_aborted(self, peer: str, reason: str) -> None:
        """A peer was cut off."""
        self._log(Event.PEER_ABORTED, peer=peer, reason=reason)

    def job_dispatched(self, job: Job, node: Node) -> None:
        """A job was sent to a node."""
        waited_ms = job.dispatched_ms - job.submitted_ms
        self._log(
            Event.JOB_DISPATCHED,
            job_id=job.job_id,
            attempt=job.attempt,
            node_id=node.node_id,
            waited_ms=waited_ms,
        )

    def job_redispatched(self, job: Job, node_id: str, attempt: int, reason: str) -> None:
        """An attempt was given up."""
        self._log(Event.JOB_REDISPATCHED, job_id=job.job_id, attempt=attempt, node_id=node_id, reason=reason)

    def job_ended(self, job: Job) -> None:
        """A job reached its final state."""
        self._log(
            Event.JOB_ENDED,
            job_id=job.job_id,
            attempt=job.attempt,
            state=job.state,
            reason=job.reason or None,
            total_ms=job.ended_ms - job.submitted_ms,
        )

    def job_removed(self, job: Job) -> None:
        """A finished job left the table."""
        self._log(Event.JOB_REMOVED, job_id=job.job_id)

    def late_result(self, job_id: str, attempt: int, node_id: str) -> None:
        """A result came too late."""
        self._log(Event.LATE_RESULT, job_id=job_id, attempt=attempt, node_id=node_id)

    def void_grant(self, job: Job, node_id: str, generation: str) -> None:
        """A grant was handed back."""
        self._log(
            Event.VOID_GRANT,
            job_id=job.job_id,
            attempt=job.attempt,
            node_id=node_id,
            generation=generation,
        )

    def nobody(self, job: Job) -> None:
        """A job found no node."""
        self._log(Event.JOB_FOUND_NOBODY, job_id=job.job_id, pair=job.pair)

    def node_registered(self, node: Node) -> None:
        """A node takes jobs."""
        self._log(
            Event.NODE_REGISTERED,
            node_id=node.node_id,
            pairs=list(node.pairs),
            slots=node.slots,
            generation=node.generation,
        )

    def node_offline(self, node: Node, reason: str) -> None:
        """A node left."""
        self._log(Event.NODE_OFFLINE, node_id=node.node_id, generation=node.generation, reason=reason)

    def node_rests(self, node: Node, until_ms: int, reason: str) -> None:
        """A node rests."""
        self._log(Event.NODE_RESTS, node_id=node.node_id, until_ms=until_ms, reason=reason)

    def swept(self, removed: int, pause_ms: float) -> None:
        """A slice of the clean-up is done."""
        self._log(Event.SWEPT, removed=removed, pause_ms=round(pause_ms, 3))

    def store_failed(self, detail: str) -> None:
        """The store did not answer."""
        self._log(Event.STORE_FAILED, error=detail)

    def store_recovered(self) -> None:
        """The store answers again."""
        self._log(Event.STORE_RECOVERED)
