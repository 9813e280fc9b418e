"""Runs the tasks of a soak or a sweep, on this machine or on a cluster; keeps failing runs, and writes the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.swarm.kept import SHRUNK_MAX, keep
from voxpool.sim.swarm.swarm import Done, play_tasks
from voxpool.sim.swarm.task import Task
from voxpool.sim.sweep.on_dask import play_on, source_digest
from voxpool.sim.sweep.record import Finished, Journal, open_journal, write_table
from voxpool.sim.world.stores import RealStore, open_store


class Where(msgspec.Struct, frozen=True):
    """Where the tasks of a sweep run, and where their results are written."""

    jobs: int = 1
    """Number of processes of this machine; without effect with `on`."""
    on: str = ""
    """Address of a Dask scheduler; '' = this machine."""
    table: Path | None = None
    """The Parquet table to write; with it a killed run is resumed."""
    keep_in: Path | None = None
    """A folder for failing runs; None = out/failed."""

    def check_store(self, store: str) -> None:
        """Raise ConfigError or StoreUnavailable once, before the tasks are run."""
        opened = open_store(store)
        if isinstance(opened, RealStore):
            opened.close()
        if "://" in store and (self.jobs > 1 or self.on):
            raise ConfigError(f"store {without_password(store)!r} can serve one run at a time: use --jobs 1, no --on")


def run_tasks(
    tasks: Sequence[Task], where: Where, options: Mapping[str, object], tell: Callable[[float], None] | None
) -> list[Finished]:
    """Run `tasks` and return the finished ones in their order; `options` are those that decide what is run."""
    with _journal(where.table, options) as journal:
        done: dict[int, Finished] = dict(journal.done) if journal is not None else {}
        shrunk = sum(bool(each.folder) for each in done.values())
        for task, result in _played([task for task in tasks if task.number not in done], where):
            folder = ""
            if result.failed:
                folder = str(keep(result, task, where.keep_in, shrunk < SHRUNK_MAX))
                shrunk += 1
            done[task.number] = finished = Finished(task.number, result, folder)
            if journal is not None:
                journal.add(finished)
            if tell is not None:
                tell(len(done) / len(tasks))
        if where.table is not None:
            write_table(where.table, tasks, done)
    return [done[task.number] for task in tasks]


def _played(tasks: Sequence[Task], where: Where) -> Iterator[Done]:
    return play_on(where.on, tasks) if where.on and tasks else play_tasks(tasks, where.jobs)


@contextmanager
def _journal(table: Path | None, options: Mapping[str, object]) -> Iterator[Journal | None]:
    if table is None:
        yield None
        return
    with open_journal(table, {**options, "source": source_digest()}) as journal:
        yield journal
