"""The type Experiment: a question, the defect ids that it tests, and a `run` that returns a report."""

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
"""Stores that are separate for each run; runs on any other store are sequential."""


@dataclass(frozen=True)
class Options:
    """The options of every experiment. `without` restricts it to one defect, such as M2; '' = all."""

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
    """Options of the single experiment that were given: name -> text, or True for a flag."""

    def sides(self) -> list[str]:
        """Return the sides to run, without first."""
        return ["without", "with"] if self.variant == "both" else [self.variant]

    @property
    def at_once(self) -> int:
        """Number of runs at the same time."""
        return PROCESSES_MAX if self.store in OWN_STORES else 1

    def shown(self, **sizes: Any) -> dict[str, Any]:
        """Return the options for a report, with the experiment's `sizes`."""
        return {
            "quick": self.quick,
            "store": without_password(self.store),
            "variant": self.variant,
            "without": self.without or "all",
            **self.extra,
            **sizes,
        }


def check_store(kind: str) -> None:
    """Raise ConfigError when `kind` is not a known store."""
    if kind not in OWN_STORES and not kind.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError(f"store {kind!r} is not known: use {STORES}")


@dataclass(frozen=True)
class Extra:
    """An option of a single experiment in addition to the common ones: --name TEXT, or a flag."""

    name: str
    help: str
    is_flag: bool = False


@dataclass(frozen=True)
class Experiment:
    """One experiment. `rows` maps defect ids to descriptions; `measure` gets the chosen ones."""

    name: str
    question: str
    rows: Mapping[str, str]
    measure: Callable[[Options, list[str]], Report]
    extras: Sequence[Extra] = ()

    def chosen(self, options: Options) -> list[str]:
        """Return the defect ids to measure; raises ConfigError when `options` name one of another experiment."""
        if options.variant not in get_args(SideChoice):
            raise ConfigError(f"variant {options.variant!r} is not known: use both, with or without")
        check_store(options.store)
        if options.without and options.without not in self.rows:
            raise ConfigError(f"{self.name} has no defect {options.without!r}: it has {', '.join(self.rows)}")
        return [options.without] if options.without else list(self.rows)

    def run(self, options: Options = Options()) -> Report:
        """Measure, write the files that `options` name, and return the report. Raises ConfigError."""
        report = self.measure(options, self.chosen(options))
        report.write(options.json, options.out)
        return report
