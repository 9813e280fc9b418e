"""Decides whether a load run holds: its checks, the deciding ones, and the exit code. Measurements are passed in."""

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
"""Exit code of a run that could not start: wrong host, version, token, limit."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The basis of a verdict."""

    gate: Gate = "load"
    """The checks that decide: load, memory, or all."""
    results: int
    """Number of results that ended at clients, in whatever way. Without any there is no evidence."""
    expected: Sequence[Check] = ()
    """Checks of expectations, failures included."""
    wrong: int = 0
    """Number of wrong and duplicate results."""
    exceptions: int = 0
    """Number of exceptions of users, which are bugs of the load test."""
    gone: str = ""
    """The observation of a scheduler that went away."""
    missing: Sequence[str] = ()
    """Missing measurements, a sentence each: failed parts, workers whose last figures never arrived."""
    memory: Check | None = None
    """None when memory does not decide."""
    leak: str = ""
    """A sentence about the leak; "" = none is known."""
    timed: Sequence[Check] = ()
    """Checks of latencies and rates, such as the knee: broken ones are unclear when the generator was the limit."""
    unclear: Sequence[str] = ()
    """Undecided results of deciding parts, a sentence each."""
    generator_limits: Sequence[str] = ()
    """Why the load generator was the limit, a sentence each; empty = it kept up."""
    nothing_ended: str = ""
    """Advice when there are no results."""


class Verdict(msgspec.Struct, frozen=True):
    """The result of the checks."""

    outcome: Outcome
    checks: list[Check]
    why: str
    """In one sentence."""

    @property
    def exit_code(self) -> int:
        """0 holds, 1 does not, 2 not enough evidence."""
        return self.outcome.exit_code


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict: broken has priority over unclear, and missing evidence is never a pass.

    A leak is broken wherever memory decides. Without results everything else is unclear, except that a scheduler that
    went away is broken where the load decides. When the generator was the limit, "no leak" and every broken check that
    the generator may have caused are unclear.
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
        missing += [f"{check.name}: {check.note or 'not enough evidence'}" for check in dark]
    if missing:
        return Verdict(Outcome.UNCLEAR, checks, "; ".join(missing))
    return Verdict(Outcome.HOLDS, checks, "no leak" if evidence.gate == "memory" else "all checks hold")


def undecided_note(verdict: Verdict) -> str:
    """Return a sentence about broken checks that don't decide; "" = none."""
    broken = [check for check in verdict.checks if not check.decides and not check.ok and check.clear]
    if not broken:
        return ""
    return f"Broken, but does not decide with --gate memory: {'; '.join(map(sentence_of, broken))}."


def where_to_look(jobs: Jobs, arrivals: Arrivals | None) -> str:
    """Return advice for a run in which no job ended."""
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
    """Return the checks of the load. Without results only a scheduler that went away is clearly broken."""
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
    """Return the check of memory: a leak is always clear, "no leak" only when the load was as requested."""
    check = evidence.memory
    if check is None:
        return []
    is_short = not evidence.results or evidence.generator_limits or evidence.gone
    if check.ok and evidence.gate == "memory" and is_short:
        check = replace(check, ok=False, clear=False)
    return [check]


def _by_the_generator(check: Check) -> Check:
    """Return the check for a run whose generator was the limit: a broken one becomes unclear, except for memory."""
    if check.ok or not check.clear or check.name.startswith(MEMORY):
        return check
    return replace(check, clear=False, note="the load generator may have broken it")
