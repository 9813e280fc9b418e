"""The block of docs/reference/settings.md: each setting with its default, bounds and meaning, by group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args, get_type_hints

import msgspec

from reference.blocks import Generator, table
from voxpool.scheduler.config import SECONDS_MAX, Settings
from voxpool.scheduler.config_groups import GROUPS, OTHER, group_of

UNBOUNDED = SECONDS_MAX
"""Bounds from here on only keep a number readable for scripts and timers."""


def settings() -> str:
    """Return a table for each group of settings."""
    return "\n\n".join(_groups())


def _groups() -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    for group in (*GROUPS, OTHER):
        names = dict.fromkeys(name for name in (*GROUPS.get(group, ()), *fields) if group_of(name) == group)
        if names:
            head = ("setting", "default", "bounds", "meaning")
            yield f"## {group}\n\n" + table(head, [_row(fields[name]) for name in names])


def _row(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    annotation = get_type_hints(Settings, include_extras=True)[field.name]
    meta = next(one for one in get_args(annotation) if isinstance(one, msgspec.Meta))
    signs = ((meta.ge, "≥"), (meta.gt, ">"), (meta.le, "≤"), (meta.lt, "<"))
    bounds = ", ".join(f"{sign} {bound:,.10g}" for bound, sign in signs if bound is not None and bound < UNBOUNDED)
    default, unit = msgspec.json.encode(field.default).decode(), (meta.extra or {}).get("unit", "")
    return f"`{field.name}`", f"`{default}` {unit}".strip(), bounds, meta.description or ""


def generators() -> dict[str, Generator]:
    """Return the generator of each block."""
    return {"settings": settings}
