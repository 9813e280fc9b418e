"""docs/events.md, made of the catalogue: python -m voxpool.scheduler.telemetry.logs.catalogue > docs/events.md"""

from __future__ import annotations

import sys

from voxpool.scheduler.telemetry.logs.events import FIELDS, LEVELS, PER_SECOND_MAX, Event

_HEAD = """# Log events

One line is one JSON object: `ts` (UTC, RFC 3339 with milliseconds), `level`, `event`, then the fields of that event; a
field without a value is left out. Lines go to standard error; on a terminal they are coloured text. No line carries
audio, outputs or any other payload. Made by `python -m voxpool.scheduler.telemetry.logs.catalogue`.

Setting `log_sample` = n writes `info` and `debug` lines of each n-th job only; warnings and the end of a job that did
not complete are always written. A line has at most 16 KiB, a job at most 18 lines at level `info`. Events marked * are
caused by peers and limited to {limit} lines a second; what is left out is counted by `log_limited`. When nobody reads,
at most `log_buffer_bytes_max` bytes wait; the lines that don't fit are counted by `log_dropped`, in their place.
"""


def as_markdown() -> str:
    """Return the text of docs/events.md."""
    names = {number: name for name, number in LEVELS.items()}
    lines = [_HEAD.format(limit=PER_SECOND_MAX), "| event | level | meaning | fields |", "|---|---|---|---|"]
    for event in Event:
        mark = " *" if event.is_limited else ""
        fields = " ".join(f"`{field}`" for field in event.fields)
        lines.append(f"| `{event.value}`{mark} | {names[event.level]} | {event.meaning} | {fields} |")
    lines += ["", "| field | meaning |", "|---|---|"]
    lines += [f"| `{field}` | {meaning} |" for field, meaning in sorted(FIELDS.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
