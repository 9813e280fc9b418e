"""Structured logs: one JSON object a line (ts, level, event, fields), or coloured text on a terminal.

The events are listed in events.py. Every line is bounded in bytes, and so are the lines a second of an event that peers
can cause at will; writer.py writes the lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

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
FIELDS_BYTES_MAX = LINE_BYTES_MAX - 200
"""Bytes of the fields of a line: the rest is for time, level and event."""
_SHORT_BYTES = 100
"""Bytes of each text of a line that is still too long: control characters take six bytes in JSON."""


class Lines(Protocol):
    """Where lines go."""

    def write(self, line: bytes, /) -> Any:
        """Take a whole line with its end."""
        ...


Write = Callable[[Event, "dict[str, Any] | str"], None]
"""Writes the line of an event with these fields; a text is the fields in JSON, without braces."""


class Log:
    """Writes events at or above a level. `field=None` is left out.

    A caller whose fields cost something asks `level` before it makes them.
    """

    def __init__(self, write: Write, level: int, clock: Clock | None = None) -> None:
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
        self._write(event, fields)

    def plain(self, event: Event, fields: str) -> None:
        """Write `event`, whose `fields` are finished members of a JSON object: texts in them must need no escape.

        The line of each job is one, of names, pairs and words that were checked where they came in; it costs half of
        what a call with fields does.
        """
        if event.level >= self.level:
            self._write(event, fields)

    def tell_limited(self) -> None:
        """Write which lines were left out in the last second that had any."""
        counts, self._this_second = self._this_second, {}
        for event, count in counts.items():
            if count > PER_SECOND_MAX:
                self._write(Event.LOG_LIMITED, {"of": event.value, "lines": count - PER_SECOND_MAX})


def open_log(stream: Lines, clock: Clock, level: str = "info", pretty: bool = False) -> Log:
    """Return a log that writes to `stream`: JSON lines, or coloured text when `pretty`. `level` is a key of LEVELS."""
    line_of, write = _formatter(clock, pretty), stream.write

    def write_line(event: Event, fields: dict[str, Any] | str) -> None:
        write(line_of(event, fields))

    return Log(write_line, LEVELS[level], clock)


@contextmanager
def log_to(descriptor: int, clock: Clock, level: str, pretty: bool, bytes_max: int) -> Iterator[Log]:
    """Yield a log that writes to `descriptor` without ever waiting for it; at most `bytes_max` bytes wait there.

    At the end what waits is written, for a second at most.
    """
    line_of = _formatter(clock, pretty)
    writer = LogWriter(descriptor, bytes_max, lambda lines: line_of(Event.LOG_DROPPED, {"lines": lines}))
    try:
        log = open_log(writer, clock, level, pretty)
        yield log
        log.tell_limited()
    finally:
        writer.close()


def _formatter(clock: Clock, pretty: bool) -> Callable[[Event, dict[str, Any] | str], bytes]:
    """Return the function that makes the line of an event, with its end, from the event and its fields."""
    tails = {event.name: f'","level":"{_LEVEL_NAMES[event.level]}","event":"{event.value}"' for event in Event}
    last = (-1, "")

    def time() -> str:
        """Return the time of a line, in UTC."""
        nonlocal last
        now_ms = clock.now_ms()
        at_ms, text = last
        if now_ms != at_ms:
            if now_ms // 1000 != at_ms // 1000:
                text = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            text = f"{text[:19]}.{now_ms % 1000:03d}Z"
            last = now_ms, text  # as one value: lines come from other threads, too
        return text

    def json_line(event: Event, fields: dict[str, Any] | str) -> bytes:
        members = fields if isinstance(fields, str) else _json_of(fields)[1:-1].decode()
        return f'{{"ts":"{time()}{tails[event._name_]}{"," if members else ""}{members}}}\n'.encode()

    if not pretty:
        return json_line

    import structlog  # only for a terminal

    console = structlog.dev.ConsoleRenderer(timestamp_key="ts", sort_keys=False)

    def text_line(event: Event, fields: dict[str, Any] | str) -> bytes:
        members = orjson.loads(f"{{{fields}}}") if isinstance(fields, str) else fields
        line = {"ts": time(), "level": _LEVEL_NAMES[event.level], "event": event.value}
        for key, value in members.items():
            if value is not None:
                bounded = _bounded(value)
                line[key] = visible(bounded) if isinstance(value, str) else bounded
        return (console(None, "", line) + "\n").encode(errors="replace")

    return text_line


def _json_of(fields: dict[str, Any]) -> bytes:
    """Return the fields that are not None as a JSON object, bounded."""
    present = {key: value for key, value in fields.items() if value is not None}
    try:
        body = orjson.dumps(present, default=_named)
        if len(body) <= TEXT_BYTES_MAX and b"[" not in body:  # no text can be too long, and there is no list
            return body
    except orjson.JSONEncodeError:  # no UTF-8: half of a surrogate pair
        pass
    body = orjson.dumps({key: _bounded(value) for key, value in present.items()}, default=_named)
    if len(body) > FIELDS_BYTES_MAX:
        body = orjson.dumps({key: _bounded(value, _SHORT_BYTES) for key, value in present.items()}, default=_named)
    return body


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
