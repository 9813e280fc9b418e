"""Converts a memory report into the sizes and counts of a Reading."""

from __future__ import annotations

import sys
from typing import Any

from voxpool.leakgate.inside.report import MemoryReport


def sizes_of(report: MemoryReport) -> dict[str, Any]:
    """Return the fields of a Reading that are sizes."""
    memory = report.memory
    names = ("rss", "allocated", "held", "python", "arenas", "malloc", "malloc_free")
    sizes: dict[str, Any] = {f"{name}_bytes": getattr(memory, f"{name}_bytes") for name in names}
    sizes |= {"blocks": report.blocks, "objects": report.objects.total, "unreadable": memory.unreadable or ""}
    sizes["collect_ms"] = report.pauses_ms.get("collect", 0.0)
    return sizes


def counts_of(report: MemoryReport) -> dict[str, int]:
    """Return the counts of a report; the first word of a name is its kind."""
    named = (("table", report.tables), ("type", report.objects.types), ("task", report.tasks.functions))
    # Interned: a watch keeps a thousand readings, which have the same few hundred names.
    counts = {sys.intern(f"{kind} {name}"): count for kind, group in named for name, count in group.items()}
    return counts | {"open files": report.open_files, "threads": report.threads}
