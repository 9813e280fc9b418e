"""The output of commands: jobs as lines, the rest as tables; both as JSON, one object a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxpool.leakgate.terminal import say, visible

if TYPE_CHECKING:
    import msgspec

    from voxpool.scheduler.protocol.answers import JobView
    from voxpool.scheduler.protocol.messages import JobResult

NODE_COLUMNS = ("node_id", "state", "running", "slots", "pairs")
POOL_COLUMNS = ("pair", "nodes", "running", "slots", "waiting")
PRIORITY_COLUMNS = ("priority", "waiting", "oldest_ms")


def job_line(job: JobView | JobResult, as_json: bool, file: Path | None = None, pair: str = "") -> str:
    """Return the line about `job`; it names `file` and `pair` of a submit, too."""
    import msgspec

    if as_json:
        fields = msgspec.to_builtins(job)
        fields.pop("type", None)
        return json_line({"file": str(file), "pair": pair, **fields} if file else fields)
    words = [str(file)] if file else []
    words += [job.job_id, job.state, f"attempts={job.attempts}"]
    if job.times_ms is not None:
        words.append(f"total_ms={job.times_ms.total}")
    if job.error:
        words.append(f"error={job.error}")
        if job.detail:
            words.append(f"detail={msgspec.json.encode(job.detail).decode()}")
        if job.retryable:
            words.append("retryable")
    if job.output is not None:
        words.append(msgspec.json.encode(job.output).decode())
    return visible("  ".join(words))


def write_table(rows: Sequence[msgspec.Struct], columns: Sequence[str], as_json: bool) -> None:
    """Write `columns` of `rows` under their names, or all their fields as JSON."""
    if as_json:
        for row in rows:
            write_json(row)
        return
    write_lines([list(columns), *([_cell(getattr(row, name)) for name in columns] for row in rows)])


def write_lines(lines: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> list[int]:
    """Write `lines` in columns at least as wide as `widths`; return how wide they are now."""
    cells = [[visible(word) for word in line] for line in lines]
    found = [max(map(len, column)) for column in zip(*cells, strict=True)] or list(widths)
    now = [max(pair) for pair in zip(found, widths or found, strict=True)]
    for line in cells:
        say("  ".join(word.ljust(width) for word, width in zip(line, now, strict=True)).rstrip())
    return now


def write_json(value: Any) -> None:
    """Write `value` as a line of JSON."""
    say(json_line(value))


def json_line(value: Any) -> str:
    """Return `value` as JSON."""
    import msgspec

    return visible(msgspec.json.encode(value).decode())


def _cell(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
