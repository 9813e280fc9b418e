"""`voxpool-sim soak --seeds N`: runs a swarm, keeps failing seeds, and reports findings and coverage."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.replay.case import KEPT
from voxpool.sim.replay.regressions import SHIPPED, KeptRun, play_kept
from voxpool.sim.report.progress import progress_bar
from voxpool.sim.report.report import WITH, Line, Report
from voxpool.sim.swarm.coverage import Reached, add, known, never
from voxpool.sim.swarm.generated import SIZES, WIRE, size_of
from voxpool.sim.swarm.hashes import differing, hashes_elsewhere
from voxpool.sim.swarm.kept import again
from voxpool.sim.swarm.one_seed import SeedResult
from voxpool.sim.swarm.task import Task
from voxpool.sim.sweep.run import Where, run_tasks
from voxpool.sim.virtual_time.stopwatch import Stopwatch

SHOWN_MAX = 10
"""Maximum number of failing seeds that are printed; all are in the JSON."""
NAMES_MAX = 12
"""Maximum number of never reached items per family in the notes; all are in the JSON."""


def soak_seeds(
    *,
    first: int,
    count: int,
    size: str,
    store: str,
    where: Where,
    replay: bool = False,
    python: str = sys.executable,
    is_shown: bool = False,
) -> Report:
    """Run `count` seeds from `first` on; with `replay` each is run again in processes here. Raises ConfigError.

    More than one seed come after the runs that failed once: when one of these fails, no seed is run.
    """
    if size not in SIZES:
        raise ConfigError(f"size {size!r}: {nearest(size, SIZES)}")
    where.check_store(store)
    watch = Stopwatch()
    kept = [*play_kept(SHIPPED, store), *play_kept(where.keep_in or KEPT, store, "swarm-*")] if count > 1 else []
    seeds = range(first, first if any(run.signs for run in kept) else first + count)
    tasks = [Task(number, seed, size_of(seed, size, store), store) for number, seed in enumerate(seeds)]
    deciding = {"seed": first, "seeds": count, "size": size, "store": without_password(store)}
    with progress_bar(f"{count} seeds", is_shown) as tell:
        finished = run_tasks(tasks, where, deciding, tell) if tasks else []
    results = [each.result for each in finished]
    reached: Reached = {family: Counter() for family in known(_ends(size))}
    for result in results:
        add(reached, result.reached)
    wall_s = watch.seconds()
    differ: list[int] | None = None
    if replay:
        here = {result.seed: result.trace_hash for result in results}
        differ = differing(here, hashes_elsewhere(list(seeds), size, where.jobs, python))
    options = {**deciding, "jobs": where.jobs, "on": where.on or "this machine", "replay": replay}
    folders = {each.result.seed: Path(each.folder) for each in finished if each.folder}
    return report_of(results, reached, options, wall_s, folders, differ, kept)


def report_of(
    results: Sequence[SeedResult],
    reached: Reached,
    options: Mapping[str, Any],
    wall_s: float,
    folders: Mapping[int, Path],
    differ: Sequence[int] | None,
    kept: Sequence[KeptRun] = (),
) -> Report:
    """Return the report: the failing seeds and kept runs decide, coverage is for information."""
    size, store = options["size"], options["store"]
    failed = [result for result in results if result.failed]
    completed = sum(result.completed for result in results)
    failed_again = [run for run in kept if run.signs]
    lines = [
        Line("", f"kept runs that fail, of {len(kept)}", "", None, len(failed_again), limit="== 0"),
        Line("", "seeds", "", None, len(results)),
        Line("", "seeds that failed", "", None, len(failed), limit="== 0"),
        Line("", "requests", "", None, sum(result.requests for result in results)),
        Line("", "jobs completed", "", None, completed),
        Line("", "seeds without a completed job", "", None, sum(not result.completed for result in results)),
        Line("", "virtual time", "h", None, sum(result.virtual_s for result in results) / 3600),
        Line("", "real time", "s", None, wall_s),
        Line("", "longest seed", "s", None, max((result.wall_s for result in results), default=0.0)),
    ]
    if differ is not None:
        lines.append(Line("", "seeds with another trace in another process", "", None, len(differ), limit="== 0"))
    missing = never(reached, _ends(size))
    for family, names in known(_ends(size)).items():
        got = len(names) - len(missing[family])
        lines.append(Line("", f"{family} reached, of {len(names)}", "", None, got))
    notes = [f"fails again: {run.file}: {run.signs[0]}" for run in failed_again]
    if failed_again:
        notes.append("no seed was run: mend these first, or remove their folders")
    notes += [f"never reached, {family}: {_named(names)}" for family, names in missing.items() if names]
    if differ:
        notes.append(f"another trace in another process: seeds {', '.join(map(str, differ[:SHOWN_MAX]))}")
    for result in failed[:SHOWN_MAX]:
        notes.append(f"seed {result.seed}: {result.broken[0]}")
        notes.append(
            f"kept: {folders[result.seed]}; again: {again(result.seed, size_of(result.seed, size, store), store)}"
        )
    whole = hashlib.blake2b("".join(result.trace_hash for result in results).encode(), digest_size=16).hexdigest()
    return Report(
        experiment="soak",
        question="does any drawn run break what must be true?",
        seed=options["seed"],
        options=options,
        lines=lines,
        variants={WITH: {"trace_hash": whole, "wall_s": wall_s}},
        variant=WITH,
        unproven=[] if completed else ["no job completed in any seed: play more seeds"],
        notes=notes,
        extra={
            "coverage": {family: dict(sorted(counts.items())) for family, counts in reached.items()},
            "never_reached": missing,
            "failed_again": [{"file": str(run.file), "signs": run.signs} for run in failed_again],
            "failures": [
                {
                    "seed": result.seed,
                    "broken": result.broken,
                    "error": result.error,
                    "again": again(result.seed, size_of(result.seed, size, store), store),
                    "folder": str(folders.get(result.seed, "")),
                }
                for result in failed
            ],
        },
    )


def _ends(size: str) -> str:
    return "wire" if size == WIRE.name else "model"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(names[:NAMES_MAX]) + more
