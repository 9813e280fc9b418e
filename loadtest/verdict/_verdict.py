"""Decides whether a load run holds: its checks, those that decide, and the exit code. Measurements are passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from voxpool.loadtest.options._options import Gate
from voxpool.loadtest.report._checks import sentence_of
from voxpool.loadtest.report._records import Arrivals, Jobs
from voxpool.loadtest.verdict._expectations import MEMORY
from voxpool.sim.report.report import Check, Outcome

EXIT_WRONG_INPUT = 3
"""A run that could not start: wrong host, version, token, limit."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a verdict rests on."""

    gate: Gate = "load"
    """Which checks decide: those of the load, the one of the memory, or all."""
    results: int
    """Results of jobs that ended at their clients, in whatever way. Without any there is no evidence."""
    expected: Sequence[Check] = ()
    """What was expected of figures of the run, failures among them."""
    wrong: int = 0
    """Results that did not belong to what was sent, or came twice."""
    exceptions: int = 0
    """Errors of ours: users that broke."""
    gone: str = ""
    """What was seen of a scheduler that went away."""
    missing: Sequence[str] = ()
    """What could not be measured, a sentence each: parts that failed, workers whose last figures never came."""
    memory: Check | None = None
    """None when memory does not decide."""
    leak: str = ""
    """What leaks, in a sentence; "" = nothing, as far as it is known."""
    timed: Sequence[Check] = ()
    """Checks of latencies and rates, such as the knee: broken ones are unclear when the generator was the limit."""
    unclear: Sequence[str] = ()
    """What a deciding part could not tell, a sentence each."""
    generator_limits: Sequence[str] = ()
    """Why the load generator was the limit, a sentence each; empty = it kept up."""
    nothing_ended: str = ""
    """Where to look when there are no results."""


class Verdict(msgspec.Struct, frozen=True):
    """What the checks come to."""

    outcome: Outcome
    checks: list[Check]
    why: str
    """In one sentence."""

    @property
    def exit_code(self) -> int:
        """0 holds, 1 does not, 2 not enough evidence."""
        return self.outcome.exit_code


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict: what is broken counts before what is unclear, and no evidence is never a pass.

    A leak is broken wherever memory decides. Without results everything else is unclear, except that a scheduler that
    went away is broken where the load decides. When the generator was the limit, "no leak" and every broken check that
    the generator can have caused are unclear.
    """
    checks = [
        Check("results", evidence.results > 0, evidence.results, "> 0", evidence.results > 0),
        *(replace(check, decides=evidence.gate != "memory") for check in _load(evidence)),
        *_memory(evidence),
    ]
    deciding = [check for check in checks if check.decides]
    broken = [check for check in deciding if not check.ok and check.clear]
    if broken:
        stayed = evidence.gate == "memory" or not evidence.gone
        why = "; ".join(
            evidence.leak if check is evidence.memory and evidence.leak else sentence_of(check) for check in broken
        )
        return Verdict(Outcome.BROKEN, checks, why if stayed else evidence.gone)
    missing = [] if evidence.results else [f"no job ended: {evidence.nothing_ended}".removesuffix(": ")]
    missing += [*evidence.missing, *evidence.unclear]
    if evidence.gate == "memory" and evidence.gone:
        missing.append(evidence.gone)
    dark = [check for check in deciding if not check.clear and check.name != "results"]
    if evidence.generator_limits and (dark or evidence.gate == "memory"):
        missing.append(f"the load generator was the limit: {'; '.join(evidence.generator_limits)}")
    if evidence.results:
        missing += [f"{check.name}: {check.note or 'not enough to tell'}" for check in dark]
    if missing:
        return Verdict(Outcome.UNCLEAR, checks, "; ".join(missing))
    return Verdict(Outcome.HOLDS, checks, "no leak" if evidence.gate == "memory" else "all checks hold")


def undecided_note(verdict: Verdict) -> str:
    """Return in a sentence which checks are broken and don't decide; "" = none."""
    broken = [check for check in verdict.checks if not check.decides and not check.ok and check.clear]
    if not broken:
        return ""
    return f"Broken, but does not decide with --gate memory: {'; '.join(map(sentence_of, broken))}."


def where_to_look(jobs: Jobs, arrivals: Arrivals | None) -> str:
    """Return what to look at after a run in which no job ended."""
    sent = jobs.submitted if arrivals is None else max(arrivals.sent, jobs.submitted)
    if not sent:
        return "none was sent: raise -u, --rate-per-user or -t"
    if not jobs.submitted:
        return f"{sent:,} sent, none accepted: look at the failures by reason in the report and at the scheduler's log"
    return (
        f"{jobs.submitted:,} accepted: look at GET /v1/pools for nodes of the pairs, and let the run, or --drain-s, "
        "last longer than a job takes"
    )


def _load(evidence: Evidence) -> list[Check]:
    """Return the checks of the load. Without results only a scheduler that went away is a clear fault."""
    expected, timed = list(evidence.expected), list(evidence.timed)
    if evidence.generator_limits:
        expected, timed = ([_by_the_generator(check) for check in checks] for checks in (expected, timed))
    checks = [
        *expected,
        Check("wrong or double results", evidence.wrong == 0, evidence.wrong, "== 0"),
        Check("errors of users", evidence.exceptions == 0, evidence.exceptions, "== 0"),
        *timed,
    ]
    if not evidence.results:
        checks = [replace(check, clear=False) for check in checks]
    return [*checks, Check("the scheduler stays", not evidence.gone, "no" if evidence.gone else "yes", "== yes")]


def _memory(evidence: Evidence) -> list[Check]:
    """Return the check of memory: a leak is always clear, "no leak" only after a load that was as asked for."""
    check = evidence.memory
    if check is None:
        return []
    is_short = not evidence.results or evidence.generator_limits or evidence.gone
    if check.ok and evidence.gate == "memory" and is_short:
        check = replace(check, ok=False, clear=False)
    return [check]


def _by_the_generator(check: Check) -> Check:
    """Return the check for a run whose generator was the limit: what is broken is unclear, but for memory."""
    if check.ok or not check.clear or check.name.startswith(MEMORY):
        return check
    return replace(check, clear=False, note="the load generator may have broken it")
