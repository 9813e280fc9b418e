"""What commands write to standard output: jobs as lines, the rest as tables; both as JSON, one object a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from scheduler.web.views import JobView


def job_line(job: JobView, as_json: bool, file: Path | None = None) -> str:
    """Return the line that tells of `job`, which came of `file`."""
    import msgspec

    if as_json:
        fields = msgspec.to_builtins(job)
        return msgspec.json.encode({"file": str(file), **fields} if file else fields).decode()
    words = [str(file)] if file else []
    words += [job.job_id, job.state, f"attempts={job.attempts}"]
    if job.times_ms is not None:
        words.append(f"total_ms={job.times_ms.total}")
    if job.error:
        words.append(f"error={job.error}")
    if job.output is not None:
        words.append(msgspec.json.encode(job.output).decode())
    return "  ".join(words)


def write_table(rows: list[dict[str, Any]], columns: list[str], as_json: bool) -> None:
    """Write `columns` of `rows` under their names, or as JSON all that they have."""
    if as_json:
        write_json(rows)
        return
    lines = [columns]
    for row in rows:
        lines.append([",".join(row[name]) if isinstance(row[name], list) else str(row[name]) for name in columns])
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def write_json(rows: list[dict[str, Any]]) -> None:
    """Write each of `rows` as a line of JSON."""
    import msgspec

    for row in rows:
        click.echo(msgspec.json.encode(row))
