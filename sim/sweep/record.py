"""The record of a sweep: a journal with a line for each finished run, and the Parquet table made of it at the end.

A sweep that was killed finds its journal beside the table, FILE.journal, and only runs what is missing. The table has
no figure that differs between two runs of one seed, such as real time: the file is the same, byte for byte, whether the
sweep was killed or not, and whether it ran in one process or on a cluster.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from voxpool._extras import needs
from voxpool.scheduler.errors import ConfigError
from voxpool.sim.swarm.one_seed import SeedResult
from voxpool.sim.swarm.task import Task


class Finished(msgspec.Struct):
    """A line of the journal."""

    number: int
    result: SeedResult
    folder: str
    """Where the failing run is kept; '' = it did not fail."""


class Journal:
    """The finished runs of a sweep, in a file that only grows."""

    def __init__(self, file: BinaryIO, done: dict[int, Finished]) -> None:
        self.done = done
        """Runs that an earlier process finished, by number."""
        self._file = file

    def add(self, finished: Finished) -> None:
        """Append a finished run; it survives the death of this process from here on."""
        self._file.write(msgspec.json.encode(finished) + b"\n")
        self._file.flush()


def journal_of(table: Path) -> Path:
    """Return the path of the journal of `table`."""
    return table.with_name(f"{table.name}.journal")


@contextmanager
def open_journal(table: Path, sweep: Mapping[str, object]) -> Iterator[Journal]:
    """Yield the journal of `table`, to which nobody else can write; `sweep` says which runs it has.

    Raises ConfigError when it belongs to another sweep, or is in use; MissingPackage when no table could be written.
    """
    with needs("cluster"):
        import pyarrow.parquet  # noqa: F401  # before the runs, not after hours of them
    path = journal_of(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    head = msgspec.json.encode(sweep) + b"\n"
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{path}: another sweep writes to it") from None
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]  # the last line of a killed process may be cut
        lines = whole.splitlines(keepends=True)
        if lines and lines[0] != head:
            raise ConfigError(
                f"{path}: belongs to a sweep with other options or another version of the source: "
                "remove it, or name another --table"
            )
        os.ftruncate(file.fileno(), len(whole))
        if not lines:
            file.write(head)
            file.flush()
        done = [msgspec.json.decode(line, type=Finished) for line in lines[1:]]
        yield Journal(file, {each.number: each for each in done})


def write_table(path: Path, tasks: Sequence[Task], finished: Mapping[int, Finished]) -> None:
    """Write the table: a row for each task, in order; then its journal is removed."""
    import pyarrow as arrow
    from pyarrow import parquet

    rows = [_row(task, finished[task.number]) for task in tasks]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = arrow.table({name: [row.get(name) for row in rows] for name in columns})
    beside = path.with_name(f".{path.name}.part")
    parquet.write_table(table, beside, compression="zstd")
    beside.replace(path)
    journal_of(path).unlink()


def _row(task: Task, finished: Finished) -> dict[str, object]:
    result = finished.result
    return {
        "seed": task.seed,
        **task.values,
        "size": task.size if task.scenario is None else task.scenario.name,
        "failed": result.failed,
        "broken": "; ".join(result.broken),
        "kept": Path(finished.folder).name,
        "trace_hash": result.trace_hash,
        "events": result.events,
        "requests": result.requests,
        "completed": result.completed,
        **{path: None if value is None else float(value) for path, value in result.figures.items()},
    }
