"""A run as data: its inputs, its outcome, and the folder in which a failing one is kept.

case.json      the inputs: scenario, seed, store, defect that is put back
found.json     the outcome, with the trace hash and the version
trace.json     the run for Perfetto
shrunk.json    a smaller case that fails in the same way, if one was found
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from voxpool.scheduler import __version__
from voxpool.scheduler.errors import ConfigError, StoreUnavailable
from voxpool.scheduler.small_file import read_json
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.experiments.without import variant_without
from voxpool.sim.observing.watch import Watcher
from voxpool.sim.play import play
from voxpool.sim.report.written import write_bytes
from voxpool.sim.scenario.expect import figure_at
from voxpool.sim.scenario.scenario import Scenario, check_scenario, with_files
from voxpool.sim.world.run import Played
from voxpool.sim.world.stores import OF_THIS_MACHINE
from voxpool.sim.world.world import World

KEPT = Path("out") / "failed"
"""Where failing runs are kept unless another folder is given."""


class RunDied(Exception):
    """A run raised an exception: a bug of voxpool. The text is shown to the user."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The inputs of a run. `without` is the id of a defect that is put back (docs/defects.md), or ''."""

    scenario: Scenario
    seed: int
    store: str = "memory"
    without: str = ""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return "-".join([self.scenario.name, str(self.seed), *([f"without-{self.without}"] if self.without else [])])


class Found(msgspec.Struct, frozen=True):
    """The outcome of a run. `signs` are its kinds of failure, in texts that do not change when the case is shrunk."""

    signs: list[str]
    trace_hash: str = ""
    first_s: float | None = None
    """Virtual time of the first broken checker."""
    details: list[str] = []
    version: str = __version__
    why: str = ""
    """The defect that it showed, in a sentence, when that is known."""


def run_case(
    case: Case,
    *,
    trace_file: TextIO | None = None,
    follow: Sequence[str] = (),
    watchers: Sequence[Callable[[World], Watcher]] = (),
    progress: Callable[[float], None] | None = None,
) -> tuple[Found, Played[Any] | None]:
    """Run `case`; returns no Played when the run raised. Raises ConfigError and StoreUnavailable."""
    try:
        played = play(
            case.scenario,
            seed=case.seed,
            store=case.store,
            variant=variant_without(case.without),
            trace_file=trace_file,
            follow=follow,
            watchers=watchers,
            progress=progress,
        )
    except (ConfigError, StoreUnavailable):
        raise
    except Exception as error:
        root = error.__cause__ or error
        return Found([f"died: {type(root).__name__}"], details=traceback.format_exception(error)), None
    return found_in(case, played), played


def found_in(case: Case, played: Played[Any]) -> Found:
    """Return the outcome of `played`: broken checkers, and expectations of the scenario that do not hold."""
    broken = [checker for checker in played.world.checkers if checker.broken]
    missed = [
        f"expected: {line.name} {line.limit}"
        for line in case.scenario.expectations
        if line.path and not line.bound.keeps(figure_at(played.run, line.path))
    ]
    return Found(
        signs=[f"broken: {checker.sentence}" for checker in broken] + missed,
        trace_hash=played.run["trace_hash"],
        first_s=min((checker.first_s for checker in broken if checker.first_s is not None), default=None),
        details=played.broken,
    )


def keep(case: Case, found: Found, folder: Path | None = None) -> Path:
    """Write a failing case to `folder`, by default one under out/failed, and return it."""
    folder = KEPT / case.name if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    write_case(folder / "case.json", case)
    write(folder / "found.json", found)
    return folder


def write_case(path: Path, case: Case) -> None:
    """Write `case` without the password of its store: whoever replays it names the store again."""
    write(path, msgspec.structs.replace(case, store=without_password(case.store)))


def write(path: Path, value: Any) -> None:
    """Write `value` as JSON."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def read_case(path: Path, store: str | None = None) -> Case:
    """Return a kept case, to be run on `store`; by default on the store of the case when that is local.

    The file is untrusted: it is validated like a scenario, and it can't choose a server to write to. Raises
    ConfigError.
    """
    case = read_json(path, Case)
    check_scenario(case.scenario, str(path))
    if not store and case.store not in OF_THIS_MACHINE:
        shown = without_password(case.store)
        raise ConfigError(f"{path}: ran on the store {shown}: name this or another store with --store")
    scenario = with_files(case.scenario, path.parent)
    return msgspec.structs.replace(case, scenario=scenario, store=store or case.store)
