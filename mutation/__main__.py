"""python -m mutation: plants a random sample of small bugs, one at a time, and says which of them no test noticed.

It works in a copy of the tree, in one process and its children. The report goes to docs/reports/mutation.md.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import click

from mutation.lua_mutants import lua_mutants
from mutation.mutant import LUA_FOLDER, Mutant
from mutation.python_mutants import python_mutants
from mutation.report import Sample, render
from mutation.sandbox import Sandbox
from mutation.trial import BaselineFailed, Outcome, Trial

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "reports" / "mutation.md"
KILLED_MIN = 0.9


@click.command(context_settings={"show_default": True})
@click.option("--sample", default=400, help="mutants to try, drawn from all; 0 = all")
@click.option("--seed", default=1, help="of the draw")
@click.option("--budget-s", default=60.0, help="test seconds that one mutant may cost")
@click.option("--baseline", type=click.Path(path_type=Path), help="what tests run which lines: kept there, and reused")
@click.option("--only", default="", help="try only mutants whose name contains this; writes no report")
@click.option("--report", type=click.Path(path_type=Path), default=REPORT, help="where the report goes")
def main(sample: int, seed: int, budget_s: float, baseline: Path | None, only: str, report: Path) -> None:
    """Exit code 0: at least 90 % were killed; 1: fewer; 3: the tests fail without a mutant."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="voxpool-mutants-") as folder:
        sandbox = Sandbox(ROOT, Path(folder) / "tree")
        pool = [mutant for path in sandbox.paths for mutant in _mutants(path)]
        drawn = draw(pool, sample, seed)
        if only:
            drawn = [mutant for mutant in pool if only in mutant.name]
        click.echo(f"{len(drawn)} of {len(pool)} mutants", err=True)
        try:
            trial = Trial(sandbox, Path(folder), budget_s, baseline)
        except BaselineFailed as failed:
            click.echo(f"the tests fail without a mutant:\n{failed}", err=True)
            sys.exit(3)
        click.echo(f"{len(trial.tests)} tests took {trial.baseline_s:.0f} s without one", err=True)
        click.echo(f"left out, they fail without one: {trial.failing}", err=True)
        outcomes = [_tried(trial, mutant) for mutant in drawn]
        doubtful = set(trial.failing_killers())
        outcomes = [outcome.doubted() if outcome.killer in doubtful else outcome for outcome in outcomes]
    killed = sum(outcome.killed for outcome in outcomes)
    click.echo(f"{killed} of {len(outcomes)} killed")
    if not only:
        figures = Sample(len(pool), seed, budget_s, len(trial.tests), time.monotonic() - started)
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(render(figures, outcomes), encoding="utf-8")
    sys.exit(0 if killed >= KILLED_MIN * len(outcomes) else 1)


def draw(pool: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """Return `size` mutants of `pool` (all, when it is 0 or too large) in the order of the pool."""
    if not 0 < size < len(pool):
        return pool
    return [pool[i] for i in sorted(random.Random(seed).sample(range(len(pool)), size))]


def _mutants(path: str) -> list[Mutant]:
    make = lua_mutants if path.startswith(f"{LUA_FOLDER}/") else python_mutants
    return list(make(ROOT, path))


def _tried(trial: Trial, mutant: Mutant) -> Outcome:
    outcome = trial.run(mutant)
    click.echo(f"{outcome.seconds:6.1f} s  {outcome.fate}  {mutant.name}  {outcome.killer}", err=True)
    return outcome


if __name__ == "__main__":
    main()
