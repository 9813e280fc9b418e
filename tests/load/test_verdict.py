"""What a run comes to: broken before unclear, and no evidence is never a pass."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.memory._records import MemoryFinding, MemoryReport
from loadtest.running._conclude import ERRORS_SHOWN, error_notes, memory_checks
from loadtest.running._verdict import Evidence, judge
from sim.report import Check, Outcome


def evidence(**more: Any) -> Evidence:
    """Of a run without a fault, but for `more`."""
    return Evidence(**{"requests": 1000, "failures": 0, "failures_max": 0.0, **more})


LEAK = Check("memory", False, "leak", "== no leak")
DARK = Check("memory", False, "unclear", "== no leak", False)


@pytest.mark.parametrize(
    ("given", "outcome", "code", "why"),
    [
        (evidence(), Outcome.HOLDS, 0, "all checks hold"),
        (evidence(failures=1), Outcome.BROKEN, 1, "failures 0.001, want <= 0"),
        (evidence(failures=10, failures_max=0.01), Outcome.HOLDS, 0, "all checks hold"),
        (evidence(failures=11, failures_max=0.01), Outcome.BROKEN, 1, "failures 0.011, want <= 0.01"),
        (evidence(requests=0), Outcome.UNCLEAR, 2, "requests: not enough to tell; failures: not enough to tell"),
        (evidence(exceptions=2), Outcome.BROKEN, 1, "errors of users 2, want == 0"),
        (evidence(gone="the scheduler went away"), Outcome.BROKEN, 1, "the scheduler went away"),
        (evidence(missing=["figures of 1 worker"]), Outcome.UNCLEAR, 2, "figures of 1 worker"),
        (evidence(missing=["figures of 1 worker"], failures=1000), Outcome.BROKEN, 1, "failures 1, want <= 0"),
        (evidence(others=[LEAK]), Outcome.BROKEN, 1, "memory leak, want == no leak"),
        (evidence(others=[DARK], unclear=["too short"]), Outcome.UNCLEAR, 2, "too short; memory: not enough to tell"),
        (evidence(others=[DARK], failures=1000), Outcome.BROKEN, 1, "failures 1, want <= 0"),
        (evidence(requests=0, gone="it never was there"), Outcome.BROKEN, 1, "it never was there"),
    ],
)
def test_the_verdict_and_its_exit_code(given: Evidence, outcome: Outcome, code: int, why: str) -> None:
    verdict = judge(given)
    assert (verdict.outcome, verdict.exit_code, verdict.why) == (outcome, code, why)


@pytest.mark.parametrize(
    ("mode", "verdict", "outcome"),
    [
        ("watch", "leak", Outcome.HOLDS),
        ("gate", "leak", Outcome.BROKEN),
        ("gate", "no leak", Outcome.HOLDS),
        ("gate", "unclear", Outcome.UNCLEAR),
        ("gate", "a word of tomorrow", Outcome.UNCLEAR),
    ],
)
def test_memory_counts_only_as_a_gate_and_then_fails_closed(mode: Any, verdict: str, outcome: Outcome) -> None:
    checks, unclear = memory_checks(MemoryReport(mode, MemoryFinding(verdict, "a reason")))
    assert judge(evidence(others=checks, unclear=unclear)).outcome is outcome


def test_what_users_died_of_is_told_the_commonest_first_and_no_more_than_fits() -> None:
    rows = [
        {"count": count, "msg": f"no room for {count}", "traceback": '  File "nodes.py", line 7, in beat\n    beat()\n'}
        for count in range(1, ERRORS_SHOWN + 3)
    ]
    notes = error_notes(rows)
    assert len(notes) == ERRORS_SHOWN
    assert notes[0] == '7 x an error of a user: no room for 7 (File "nodes.py", line 7, in beat beat())'
