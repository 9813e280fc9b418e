"""python -m mutation: plants a random sample of small bugs, one at a time, and prints which of them no test noticed.

It works in a copy of the tree, in one process and its children. The report goes to docs/reports/mutation.md.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import click

from mutation.draw import candidates, draw
from mutation.mutant import Mutant
from mutation.outcomes import Outcomes
from mutation.process import Session, in_session
from mutation.report import KILLED_MIN, Sample, render
from mutation.sandbox import Sandbox
from mutation.trial import TESTS, BaselineFailed, Outcome, Trial, files_for

ROOT = Path(__file__).resolve().parent.parent
_KEPT = click.Path(path_type=Path, resolve_path=True)
REPORT = ROOT / "docs" / "reports" / "mutation.md"
EARLIER = "\n## Earlier runs\n"
"""The heading of the last part of the report, which is written by hand and kept."""


@click.command(context_settings={"show_default": True})
@click.option("--sample", default=600, help="mutants to try, drawn from all; 0 = all")
@click.option("--seed", default=1, help="of the draw")
@click.option("--budget-s", default=30.0, help="test seconds that one mutant may cost")
@click.option("--at-most-s", default=7200.0, help="begin no further mutant after this time")
@click.option("--baseline", type=_KEPT, help="what tests run which lines: kept there, and reused")
@click.option("--outcomes", type=_KEPT, help="what was killed: kept there, and not tried again")
@click.option("--only", default="", help="only mutants of files whose path contains this; writes no report")
@click.option("--report", type=_KEPT, default=REPORT, help="where the report goes")
def main(
    sample: int,
    seed: int,
    budget_s: float,
    at_most_s: float,
    baseline: Path | None,
    outcomes: Path | None,
    only: str,
    report: Path,
) -> None:
    """Exit code 0: at least 95 % were killed; 1: fewer; 3: tests fail without a mutant."""
    started = time.monotonic()
    code = 3

    def work(session: Session) -> None:
        nonlocal code
        try:
            trial = Trial(sandbox, session, budget_s, baseline or Path(folder) / "baseline.json")
        except BaselineFailed as failed:
            click.echo(f"the tests fail without a mutant:\n{failed}", err=True)
            return
        click.echo(f"{len(trial.tests)} tests took {trial.baseline_s:.0f} s without one", err=True)
        click.echo(f"left out, they fail without one: {trial.failing}", err=True)
        known = Outcomes(outcomes)
        tried: list[Outcome] = []
        for mutant in random.Random(seed).sample(drawn, len(drawn)):  # so that a part of them is a fair sample, too
            if tried and time.monotonic() - started > at_most_s:
                break
            tried.append(_tried(trial, mutant, known))
        tried.sort(key=lambda outcome: drawn.index(outcome.mutant))
        doubtful = set(trial.failing_killers())
        tried = [outcome.doubted() if outcome.killer in doubtful else outcome for outcome in tried]
        killed = sum(outcome.killed for outcome in tried)
        click.echo(f"{killed} of {len(tried)} killed")
        if not only:
            figures = Sample(len(pool), len(drawn), seed, budget_s, len(trial.tests), time.monotonic() - started)
            report.write_text(render(figures, tried) + earlier_runs(report), encoding="utf-8")
        code = 0 if killed >= KILLED_MIN * len(tried) else 1

    with tempfile.TemporaryDirectory(prefix="voxpool-mutants-") as folder:
        sandbox = Sandbox(ROOT, Path(folder) / "tree")
        pool = candidates(sandbox.root, [path for path in sandbox.paths if only in path])
        drawn = draw(pool, sample, seed)
        click.echo(f"{len(drawn)} of {len(pool)} mutants", err=True)
        tests = files_for(drawn, baseline) if only and baseline and baseline.exists() else TESTS
        in_session(sandbox.root, sandbox.environment, tests, Path(folder) / "tests.log", work)
    sys.exit(code)


def earlier_runs(report: Path) -> str:
    """Return what a person wrote at the end of the report that is replaced."""
    _, heading, text = report.read_text(encoding="utf-8").partition(EARLIER) if report.exists() else ("", "", "")
    return heading + text


def _tried(trial: Trial, mutant: Mutant, known: Outcomes) -> Outcome:
    outcome = known.of(mutant)
    if outcome is None:
        outcome = trial.run(mutant)
        click.echo(f"{outcome.seconds:6.1f} s  {outcome.fate}  {mutant.name}  {outcome.killer}", err=True)
        known.add(outcome)
    trial.count(outcome)
    return outcome


if __name__ == "__main__":
    main()
