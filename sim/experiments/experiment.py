"""What an experiment is: a question, the defect ids that it answers, and a `run` that returns a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.stores.shown import without_password
from voxpool.sim.experiments.processes import PROCESSES_MAX
from voxpool.sim.report.report import Report
from voxpool.sim.world.stores import STORES

SideChoice = Literal["both", "with", "without"]
SEED = 1
OWN_STORES = ("memory", "fakeredis", "embedded")
"""Stores of which each run has one of its own; runs on any other come one after the other."""


@dataclass(frozen=True)
class Options:
    """The options of every experiment. `without` restricts it to one row, such as M2; '' = all."""

    seed: int = SEED
    json: Path | None = None
    out: Path | None = None
    quick: bool = False
    store: str = "memory"
    variant: SideChoice = "both"
    without: str = ""
    progress: bool = False
    """Show a progress bar on stderr."""
    extra: Mapping[str, str | bool] = field(default_factory=dict)
    """What the experiment takes beside: name -> text, or True for a flag; only what was given."""

    def sides(self) -> list[str]:
        """Return the sides to run: without first, as it is read."""
        return ["without", "with"] if self.variant == "both" else [self.variant]

    @property
    def at_once(self) -> int:
        """How many runs may go on at the same time."""
        return PROCESSES_MAX if self.store in OWN_STORES else 1

    def shown(self, **sizes: Any) -> dict[str, Any]:
        """Return the options for a report, with the sizes that the experiment has chosen."""
        return {
            "quick": self.quick,
            "store": without_password(self.store),
            "variant": self.variant,
            "without": self.without or "all",
            **self.extra,
            **sizes,
        }


def check_store(kind: str) -> None:
    """Raise ConfigError unless there is such a store."""
    if kind not in OWN_STORES and not kind.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError(f"store {kind!r} is not known: use {STORES}")


@dataclass(frozen=True)
class Extra:
    """An option that one experiment has beside the common ones: --name TEXT, or a flag."""

    name: str
    help: str
    is_flag: bool = False


@dataclass(frozen=True)
class Experiment:
    """One experiment. `rows` maps defect ids to what each asks."""

    name: str
    question: str
    rows: Mapping[str, str]
    measure: Callable[[Options], Report]
    extras: Sequence[Extra] = ()

    def chosen(self, options: Options) -> list[str]:
        """Return the rows to measure; raises ConfigError when `options` name another experiment's."""
        if options.variant not in get_args(SideChoice):
            raise ConfigError(f"variant {options.variant!r} is not known: use both, with or without")
        check_store(options.store)
        if options.without and options.without not in self.rows:
            raise ConfigError(f"{self.name} has no row {options.without!r}: it has {', '.join(self.rows)}")
        return [options.without] if options.without else list(self.rows)

    def run(self, options: Options = Options()) -> Report:
        """Measure, write what `options` ask for, and return the report. Raises ConfigError."""
        self.chosen(options)
        report = self.measure(options)
        report.write(options.json, options.out)
        return report
