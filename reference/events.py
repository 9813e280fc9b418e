"""The blocks of docs/events.md: the log events and their fields."""

from __future__ import annotations

from reference.blocks import Generator, table
from voxpool.scheduler.telemetry.logs.events import FIELDS, LEVELS, PER_SECOND_MAX, Event


def events() -> str:
    """Return each event with its level, meaning and fields."""
    names = {number: name for name, number in LEVELS.items()}
    rows = [
        (
            f"`{event.value}`{' *' if event.is_limited else ''}",
            names[event.level],
            event.meaning,
            " ".join(f"`{field}`" for field in event.fields),
        )
        for event in Event
    ]
    return f"Events marked * are caused by peers and limited to {PER_SECOND_MAX} lines a second.\n\n" + table(
        ("event", "level", "meaning", "fields"), rows
    )


def fields() -> str:
    """Return each field with its meaning."""
    return table(("field", "meaning"), [(f"`{name}`", meaning) for name, meaning in sorted(FIELDS.items())])


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {"log events": events, "fields of log events": fields}
