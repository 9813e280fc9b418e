"""Writes docs/reports/mutation.md: the figures, and each survivor with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mutation.mutant import SCOPE
from mutation.survivors import read_reasons, reason_for
from mutation.trial import FILES, Outcome

KILLED_MIN = 0.95
"""The share of the sample that the tests must kill."""


class Sample(NamedTuple):
    """The drawn sample, the number of candidates, and the time."""

    pool: int
    drawn: int
    seed: int
    budget_s: float
    tests: int
    seconds: float


def render(sample: Sample, outcomes: Sequence[Outcome]) -> str:
    """Return the report as Markdown."""
    killed = sum(outcome.killed for outcome in outcomes)
    share = killed / len(outcomes)
    return "\n".join(
        [
            "# Mutation testing",
            "",
            f"{killed} of {len(outcomes)} planted bugs ({share:.1%}) are noticed by {sample.tests} tests; the goal is"
            f" {KILLED_MIN:.0%}.",
            "",
            "```sh",
            f"make mutants        # seed {sample.seed}; it took {sample.seconds / 60:.0f} minutes on one core",
            "```",
            "",
            f"Mutants are made of what decides about jobs, nodes and results: {', '.join(SCOPE)}. They are those that"
            " mutmut's operators make of the Python files, and those that mutation/lua_mutants.py makes of the scripts"
            " (comparisons, ends of ranges, arithmetic, constants, logic, swapped branches, removed statements). The"
            f" sample of {sample.drawn} is drawn evenly from {sample.pool} changes{_tried(sample, len(outcomes))}. A"
            " mutant is tried with the tests that run its line or script, the promising ones first, up to"
            f" {sample.budget_s:.0f} s of them. The tests are those of tests/lua, and the files of {', '.join(FILES)}"
            " that mutation/trial.py lists.",
            "",
            "Beside the sample, each bug that was written by hand (mutation/by_hand.toml) is noticed by the test"
            " that is named with it; tests/unit/test_mutation.py plants them.",
            "",
            *_files(outcomes),
            "",
            "## Survivors",
            "",
            *_survivors(outcomes),
            "",
        ]
    )


def _tried(sample: Sample, tried: int) -> str:
    """Return what a reader must know when the time did not suffice for all."""
    return "" if tried == sample.drawn else f"; the time sufficed for {tried} of them, in a random order"


def _files(outcomes: Sequence[Outcome]) -> list[str]:
    tried = Counter(outcome.mutant.path for outcome in outcomes)
    killed = Counter(outcome.mutant.path for outcome in outcomes if outcome.killed)
    lines = [f"| {path} | {tried[path]} | {killed[path]} |" for path in sorted(tried)]
    return ["| file | mutants | killed |", "|---|---|---|", *lines]


def _survivors(outcomes: Sequence[Outcome]) -> list[str]:
    reasons = read_reasons()
    lines = ["| where | mutant | why |", "|---|---|---|"]
    for mutant in (outcome.mutant for outcome in outcomes if not outcome.killed):
        change = f"{_code(mutant.before)} becomes {_code(mutant.after) or 'nothing'}"
        lines.append(f"| {mutant.path}:{mutant.line} | {change} | {reason_for(mutant, reasons)} |")
    return lines


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""
