"""Whether a load run holds: its checks, what they come to, and the exit code. Pure: what was measured is passed in."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sim.report import Check, Outcome

EXIT_WRONG_INPUT = 3
"""A run that could not start: wrong host, version, token, limit."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a verdict rests on."""

    requests: int
    """Those that ended, in whatever way."""
    failures: int
    failures_max: float
    """The share of `requests` that may fail."""
    exceptions: int = 0
    """Errors of ours: users that broke."""
    gone: str = ""
    """What was seen of a scheduler that went away."""
    missing: Sequence[str] = ()
    """What could not be measured, a sentence each: parts that failed, workers whose last figures never came."""
    others: Sequence[Check] = ()
    """Checks of other parts: memory, the knee."""
    unclear: Sequence[str] = ()
    """What other parts could not tell, a sentence each."""


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
    """Return the verdict: what is broken counts before what is unclear, and no evidence is never a pass."""
    share = evidence.failures / evidence.requests if evidence.requests else None
    checks = [
        Check("requests", evidence.requests > 0, evidence.requests, "> 0", evidence.requests > 0),
        Check(
            "failures",
            share is not None and share <= evidence.failures_max,
            share if share is None else round(share, 6),
            f"<= {evidence.failures_max:g}",
            share is not None,
        ),
        Check("errors of users", evidence.exceptions == 0, evidence.exceptions, "== 0"),
        Check("the scheduler stays", not evidence.gone, int(not evidence.gone), "== 1"),
        *evidence.others,
    ]
    broken = [check for check in checks if not check.ok and check.clear]
    if broken:
        why = evidence.gone or "; ".join(f"{check.name} {_shown(check)}, want {check.limit}" for check in broken)
        return Verdict(Outcome.BROKEN, checks, why)
    missing = [*evidence.missing, *evidence.unclear]
    missing += [f"{check.name}: not enough to tell" for check in checks if not check.clear]
    if missing:
        return Verdict(Outcome.UNCLEAR, checks, "; ".join(missing))
    return Verdict(Outcome.HOLDS, checks, "all checks hold")


def _shown(check: Check) -> str:
    return f"{check.figure:.4g}" if isinstance(check.figure, float) else str(check.figure)
