"""Finds what grows and where it was allocated, by more calls of a leaking function under tracemalloc."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator
from pathlib import Path

from voxpool.leakgate.inside.sizes import type_name
from voxpool.leakgate.inside.tracing import Tracer, TraceRow
from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.report.charts import notes_of

ROWS_SHOWN = 5
FRAMES = 4
"""Number of lines for each place of an allocation."""
OFTEN = 0.005
"""Minimum growth of a type's objects per call to be named."""
BYTES_MIN = 5.0
"""Minimum growth of a place per call to be named."""
WARM_UP_CALLS = 20
_OWN = str(Path(__file__).parents[1])


def finding_text(finding: MemoryFinding) -> str:
    """Return `finding` as the first lines of a failure."""
    head = f"{finding.verdict} after {finding.work:,} {finding.unit}s: {finding.reason}"
    return "\n".join([head, *(f"  {note}" for note in notes_of(finding))])


def look_closer(calls: int, per: str) -> Generator[int, None, list[str]]:
    """Yield the numbers of calls, and return the growing types and source lines as lines of text."""
    tracer = Tracer()
    tracer.start(FRAMES)
    try:
        yield WARM_UP_CALLS
        before = _types()
        tracer.mark()
        yield calls
        grown = _types()
        rows = tracer.top().rows
    finally:
        tracer.stop()
    grown.subtract(before)
    types = [
        f"{name} +{count / calls:.3g} a {per}"
        for name, count in grown.most_common(ROWS_SHOWN)
        if count > max(1.0, OFTEN * calls)
    ]
    places = [place for row in rows if (place := _place(row, calls, per))][:ROWS_SHOWN]
    return [
        f"  types that grow: {', '.join(types) or 'none that the collector follows'}",
        "  what stays was allocated at:" if places else "  no line of Python allocated what stays: it is native memory",
        *places,
    ]


def _types() -> Counter[str]:
    gc.collect()
    named: Counter[str] = Counter()
    for kind, count in Counter(map(type, gc.get_objects())).items():
        named[type_name(kind)] += count
    return named


def _place(row: TraceRow, calls: int, per: str) -> str:
    """Return one place as text; "" when it belongs to leakgate, or hardly grew."""
    lines: list[str] = []
    for line in row.lines:
        if line.startswith(_OWN):
            break
        lines.append(line)
    if not lines or row.grown_bytes < BYTES_MIN * calls:
        return ""
    return f"    {row.grown_bytes / calls:,.0f} B a {per}: {', called at '.join(lines)}"
