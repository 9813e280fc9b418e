"""Structured logs: one JSON object a line (ts, level, event, fields), or coloured text on a terminal.

The events are listed in events.py. Every line is bounded in bytes, and so are the lines a second of an event that peers
can cause at will; writer.py writes the lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
import structlog

from voxpool.leakgate.terminal import visible
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.telemetry.logs.events import LEVELS, PER_SECOND_MAX, Event
from voxpool.scheduler.telemetry.logs.writer import LogWriter

_LEVEL_NAMES = {number: name for name, number in LEVELS.items()}
TEXT_BYTES_MAX = 2000
"""Bytes of one text field; a longer one is cut between two characters."""
ITEMS_MAX = 16
"""Items of a list in a field; the others are left out."""
LINE_BYTES_MAX = 16 * 1024
_SHORT_BYTES = 100
"""Bytes of each text of a line that is still too long: control characters take six bytes in JSON."""


class Lines(Protocol):
    """Where lines go."""

    def write(self, line: bytes, /) -> Any:
        """Take a whole line with its end."""
        ...


class Log:
    """Writes events at or above a level. `field=None` is left out."""

    def __init__(self, write: Callable[..., Any], level: int, clock: Clock | None = None) -> None:
        self._write = write
        self.level = level
        self._clock = clock
        self._this_second: dict[Event, int] = {}
        """Lines of limited events in the present second."""
        self._second = 0

    def __call__(self, event: Event, **fields: Any) -> None:
        """Write `event` with its fields."""
        if event.level < self.level:
            return
        if self._this_second or event.is_limited:
            now_s = 0 if self._clock is None else self._clock.now_ms() // 1000
            if now_s != self._second:
                self.tell_limited()
                self._second = now_s
            if event.is_limited:
                count = self._this_second[event] = self._this_second.get(event, 0) + 1
                if count > PER_SECOND_MAX:
                    return
        self._write(event=event, **fields)

    def tell_limited(self) -> None:
        """Write which lines were left out in the last second that had any."""
        counts, self._this_second = self._this_second, {}
        for event, count in counts.items():
            if count > PER_SECOND_MAX:
                self._write(event=Event.LOG_LIMITED, of=event.value, lines=count - PER_SECOND_MAX)


def open_log(stream: Lines, clock: Clock, level: str = "info", pretty: bool = False) -> Log:
    """Return a log that writes to `stream`: JSON lines, or coloured text when `pretty`. `level` is a key of LEVELS."""
    logger = structlog.BoundLogger(_LineLogger(stream), _processors(clock, pretty), {})
    return Log(logger.msg, LEVELS[level], clock)


@contextmanager
def log_to(descriptor: int, clock: Clock, level: str, pretty: bool, bytes_max: int) -> Iterator[Log]:
    """Yield a log that writes to `descriptor` without ever waiting for it; at most `bytes_max` bytes wait there.

    At the end what waits is written, for a second at most.
    """
    logger = structlog.BoundLogger(structlog.ReturnLogger(), _processors(clock, pretty), {})

    def tell_dropped(lines: int) -> bytes:
        line: bytes = logger.msg(event=Event.LOG_DROPPED, lines=lines)
        return line + b"\n"

    writer = LogWriter(descriptor, bytes_max, tell_dropped)
    try:
        log = open_log(writer, clock, level, pretty)
        yield log
        log.tell_limited()
    finally:
        writer.close()


class _LineLogger:
    """The end of structlog's chain: gets a rendered line."""

    def __init__(self, stream: Lines) -> None:
        self._write = stream.write

    def msg(self, line: bytes) -> None:
        self._write(line + b"\n")


def _processors(clock: Clock, pretty: bool) -> list[Any]:
    second = (-1, "")

    def head(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        nonlocal second
        now_s, now_ms = divmod(clock.now_ms(), 1000)
        at_s, text = second
        if now_s != at_s:
            text = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            second = now_s, text  # as one value: lines come from other threads, too
        event = fields.pop("event")
        line = {"ts": f"{text}.{now_ms:03d}Z", "level": _LEVEL_NAMES[event.level], "event": event.value}
        for key, value in fields.items():
            if value is not None:
                line[key] = _bounded(value)
                if pretty and isinstance(value, str):  # JSON has escapes of its own
                    line[key] = visible(line[key])
        return line

    def as_json(logger: Any, method: str, line: MutableMapping[str, Any]) -> bytes:
        encoded = orjson.dumps(line, default=_named)
        if len(encoded) > LINE_BYTES_MAX:
            encoded = orjson.dumps({key: _bounded(value, _SHORT_BYTES) for key, value in line.items()}, default=_named)
        return encoded

    if not pretty:
        return [head, as_json]
    console = structlog.dev.ConsoleRenderer(timestamp_key="ts", sort_keys=False)
    return [head, console, lambda logger, method, text: text.encode(errors="replace")]


def _bounded(value: Any, bytes_max: int = TEXT_BYTES_MAX) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _SHORT_BYTES and value.isascii() else cut(value, bytes_max)
    if isinstance(value, list | tuple):
        return [_bounded(item, bytes_max) for item in value[:ITEMS_MAX]]
    return value


def _named(value: Any) -> str:
    """Return the type's name of what is neither text nor number: its content may be a payload."""
    return f"<{type(value).__name__}>"


def cut(text: str, bytes_max: int) -> str:
    """Return the beginning of `text`, at most `bytes_max` bytes of UTF-8, cut between two characters."""
    return text[:bytes_max].encode(errors="replace")[:bytes_max].decode(errors="ignore")


def cut_front(text: str, bytes_max: int) -> str:
    """Return the end of `text`, at most `bytes_max` bytes of UTF-8: that is the useful part of a traceback."""
    return text[-bytes_max:].encode(errors="replace")[-bytes_max:].decode(errors="ignore")


def carry_standard_logging(log: Log, *names: str) -> None:
    """Send the warnings and errors of the loggers `names` of libraries to `log`, and to no other handler."""
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers = [StandardLogging(log)]
        logger.propagate = False


class StandardLogging(logging.Handler):
    """Carries warnings of libraries, which use the logging of the standard library, into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` as an event."""
        error = None
        if record.exc_info:
            error = cut_front(logging.Formatter().formatException(record.exc_info), TEXT_BYTES_MAX)
        self._log(Event.HTTP_SERVER, message=record.getMessage(), logger=record.name, error=error)
