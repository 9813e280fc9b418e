"""The verdict of a run: broken takes precedence over unclear, and a run without evidence never passes."""

from __future__ import annotations

from typing import Any

import pytest

from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.report.report import WatchReport
from voxpool.loadtest.report._records import Arrivals, Jobs
from voxpool.loadtest.verdict._conclude import ERRORS_SHOWN, error_notes, memory_check
from voxpool.loadtest.verdict._verdict import Evidence, judge, undecided_note, where_to_look
from voxpool.sim.report.report import Check, Outcome


def evidence(**more: Any) -> Evidence:
    """Return the evidence of a run without a fault, changed by `more`."""
    return Evidence(**{"results": 400, "expected": [failures(0)], **more})


def failures(percent: float, limit: float = 0, note: str = "", clear: bool = True) -> Check:
    """Return the check of an expectation of failures."""
    return Check("failures", clear and percent <= limit, percent, f"<= {limit:g} %", clear, unit="%", note=note)


FAILED = {"expected": [failures(1)]}


def watched(verdict: str) -> WatchReport:
    return WatchReport(finding=MemoryFinding(verdict=verdict, reason="a reason"))


def memory(verdict: str) -> dict[str, Any]:
    """Return the evidence of a memory watch with this `verdict`."""
    check, unclear = memory_check(watched(verdict), "memory")
    return {"memory": check, "unclear": unclear}


KNEE = Check("the knee", False, 0, "> 0")
BUSY = ["its core was full"]
NONE = {"results": 0, "nothing_ended": "none was sent"}


@pytest.mark.parametrize(
    ("given", "outcome", "code", "why"),
    [
        (evidence(), Outcome.HOLDS, 0, "all checks hold"),
        (evidence(expected=[failures(0.93)]), Outcome.BROKEN, 1, "failures 0.93 %, at most 0 % allowed"),
        (evidence(expected=[failures(0.93, 1)]), Outcome.HOLDS, 0, "all checks hold"),
        (
            evidence(expected=[Check("rate", False, 12, "> 90 /s", unit="/s"), failures(1.1, 1)], exceptions=2),
            Outcome.BROKEN,
            1,
            "rate 12 /s, above 90 /s expected; failures 1.1 %, at most 1 % allowed; errors of users 2, 0 expected",
        ),
        (
            evidence(expected=[failures(0, 1, "0 of 9 results", clear=False)]),
            Outcome.UNCLEAR,
            2,
            "failures: 0 of 9 results",
        ),
        (evidence(wrong=1), Outcome.BROKEN, 1, "wrong or double results 1, 0 expected"),
        (evidence(exceptions=2), Outcome.BROKEN, 1, "errors of users 2, 0 expected"),
        (evidence(gone="the scheduler went away"), Outcome.BROKEN, 1, "the scheduler went away"),
        (evidence(missing=["figures of 1 worker"]), Outcome.UNCLEAR, 2, "figures of 1 worker"),
        (evidence(missing=["1 worker"], **FAILED), Outcome.BROKEN, 1, "failures 1 %, at most 0 % allowed"),
        (evidence(timed=[KNEE]), Outcome.BROKEN, 1, "the knee 0, above 0 expected"),
    ],
)
def test_the_verdict_and_its_exit_code(given: Evidence, outcome: Outcome, code: int, why: str) -> None:
    verdict = judge(given)
    assert (verdict.outcome, verdict.exit_code, verdict.why) == (outcome, code, why)


@pytest.mark.parametrize("gate", ["load", "memory", "all"])
@pytest.mark.parametrize("more", [{}, FAILED, {"exceptions": 3}, {"expected": []}])
def test_without_a_result_there_is_no_evidence_for_any_gate(gate: Any, more: dict[str, Any]) -> None:
    """Connects and heartbeats are no evidence, and failed ones are not either."""
    verdict = judge(evidence(gate=gate, **memory("no leak"), **NONE, **more))
    assert (verdict.exit_code, verdict.why) == (2, "no job ended: none was sent")


def test_a_scheduler_lost_before_the_first_result_is_broken() -> None:
    verdict = judge(evidence(gone="it went away after 1 s", **NONE))
    assert (verdict.exit_code, verdict.why) == (1, "it went away after 1 s")


@pytest.mark.parametrize(
    ("gate", "found", "more", "code"),
    [
        ("all", "leak", {}, 1),
        ("all", "no leak", {}, 0),
        ("all", "unclear", {}, 2),
        ("all", "a word of tomorrow", {}, 2),
        ("all", "no leak", FAILED, 1),
        ("all", "unclear", FAILED, 1),
        ("all", "no leak", {"gone": "it went away"}, 1),
        ("all", "no leak", {"generator_limits": BUSY}, 0),
        ("all", "no leak", {"generator_limits": BUSY, **FAILED}, 2),
        ("all", "leak", {"generator_limits": BUSY, **FAILED}, 1),
        ("memory", "leak", {}, 1),
        ("memory", "no leak", {}, 0),
        ("memory", "unclear", {}, 2),
        ("memory", "a word of tomorrow", {}, 2),
        ("memory", "no leak", FAILED, 0),
        ("memory", "no leak", {"exceptions": 1, "wrong": 1, "timed": [KNEE]}, 0),
        ("memory", "unclear", FAILED, 2),
        ("memory", "no leak", {"generator_limits": BUSY}, 2),
        ("memory", "leak", {"generator_limits": BUSY}, 1),
        ("memory", "no leak", {"gone": "it went away"}, 2),
        ("memory", "leak", {"gone": "it went away"}, 1),
        ("memory", "no leak", {"missing": ["figures of 1 worker"]}, 2),
        ("memory", "leak", NONE, 1),
    ],
)
def test_the_gate_decides(gate: Any, found: str, more: dict[str, Any], code: int) -> None:
    """A leak is always 1; with the memory gate nothing else is, and doubt about "no leak" is 2."""
    assert judge(evidence(gate=gate, **memory(found) | more)).exit_code == code


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, 0),
        (FAILED, 2),
        ({"timed": [KNEE]}, 2),
        ({"expected": [Check("memory.rss", False, 80, "< 50 MB", unit="MB")]}, 1),
        ({"wrong": 1, **FAILED}, 1),
        ({"exceptions": 1}, 1),
        ({"gone": "it went away"}, 1),
    ],
)
def test_a_generator_at_its_limit_makes_its_effects_unclear(more: dict[str, Any], code: int) -> None:
    verdict = judge(evidence(generator_limits=BUSY, **more))
    assert verdict.exit_code == code
    if code == 2:
        assert verdict.why.startswith("the load generator was the limit: its core was full; ")


def test_checks_that_do_not_decide_are_shown_and_named() -> None:
    verdict = judge(evidence(gate="memory", **FAILED, **memory("no leak")))
    decides = {check.name: check.decides for check in verdict.checks}
    assert decides == {
        "results": True,
        "failures": False,
        "wrong or double results": False,
        "errors of users": False,
        "the scheduler stays": False,
        "memory": True,
    }
    assert (
        undecided_note(verdict) == "Broken, but does not decide with --gate memory: failures 1 %, at most 0 % allowed."
    )
    assert undecided_note(judge(evidence(**FAILED))) == ""


def test_memory_is_no_check_unless_it_decides() -> None:
    assert memory_check(watched("leak"), "load") == (None, [])
    assert memory_check(None, "all") == (None, [])


@pytest.mark.parametrize(
    ("sent", "accepted", "says"),
    [(0, 0, "none was sent: raise -u"), (7, 0, "7 sent, none accepted"), (7, 6, "6 accepted: look at GET /v1/pools")],
)
def test_a_run_without_results_gives_hints(sent: int, accepted: int, says: str) -> None:
    nothing = {"completed": 0, "failed": 0, "cancelled": 0, "rejected": 0, "lost": 0, "twice": 0, "wrong": 0}
    arrivals = Arrivals(intended=sent, sent=sent, late=0, dropped=0, late_ms=100, lag_s=None)
    assert where_to_look(Jobs(submitted=accepted, **nothing), arrivals).startswith(says)


def test_crashes_of_users_are_listed_by_frequency_up_to_a_limit() -> None:
    rows = [
        {"count": count, "msg": f"no room for {count}", "traceback": '  File "nodes.py", line 7, in beat\n    beat()\n'}
        for count in range(1, ERRORS_SHOWN + 3)
    ]
    notes = error_notes(rows)
    assert len(notes) == ERRORS_SHOWN
    assert notes[0] == '7 x an error of a user: no room for 7 (File "nodes.py", line 7, in beat beat())'
