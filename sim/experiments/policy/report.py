"""The report of the experiment `policy`: the lines of C6, C7 and C8, and the curves for the JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from voxpool.sim.experiments.policy.nodes import FAILING_RATE_PER_S, TWO_CHOICES, Figures
from voxpool.sim.experiments.policy.runs import Found
from voxpool.sim.experiments.policy.size import KNOWN_S, NEAR_ZERO_S, PRODUCTION, Size, label_of
from voxpool.sim.experiments.theory.question import TOLERANCE_S
from voxpool.sim.report.limits import Figure
from voxpool.sim.report.report import WITH, WITHOUT, Line
from voxpool.sim.report.theory import erlang_c_wait, erlang_c_wait_percentile, mm1_wait

THEORY_LEAST_S = 0.001
"""A smaller theoretical mean is compared by its difference: too few jobs wait for a meaningful ratio."""
SPREAD = 2.0
"""Range of the mean wait of a run from empty relative to the central queue, at a load without a catalogue figure."""
PRODUCTION_SPOILED_PART = 2.0
"""Range of jobs failed by the failing node relative to five per rest: some are in transit when a rest begins."""


@dataclass(frozen=True)
class Results:
    """All results: runs from empty, long runs, and the figures of C7 and C8 by side."""

    empty: Sequence[Found] = ()
    long: Sequence[Found] = ()
    affinity: Mapping[str, Figures] = field(default_factory=dict)
    failing: Mapping[str, Figures] = field(default_factory=dict)

    def of(self, policy: str, load: float) -> Found | None:
        """Return the run from empty of `policy` at `load`."""
        return next((found for found in self.empty if (found.policy, found.load) == (policy, load)), None)


def lines_of(row: str, size: Size, results: Results) -> list[Line]:
    """Return the lines of one defect."""
    if row == "C6":
        return [
            *_waits(size, results),
            *_herd(size, results),
            *_scripts(size, results),
            *_theory(size, results),
            _checkers(results),
        ]
    return _pair(results.affinity) if row == "C7" else _spoiled(results.failing)


def curves_of(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return the curves for the JSON."""
    return {
        "from_empty": [found.figures for found in results.empty],
        "long_runs": [found.figures for found in results.long],
    }


# ---- C6


def _waits(size: Size, results: Results) -> list[Line]:
    lines = []
    for load in size.loads:
        central_s = erlang_c_wait(size.nodes, load, size.work_s)
        production = results.of(PRODUCTION, load)
        known = [policy for policy in size.policies if (policy, load) in KNOWN_S]
        for policy in known or ["random"]:
            found, known_s = results.of(policy, load), KNOWN_S.get((policy, load))
            name = f"mean wait at {load:.0%} load, without: {label_of(policy)}"
            limit_s = (1 if known else SPREAD) * central_s + size.zero_s
            shows = "" if known_s is None else _near(known_s, size.part, size.zero_s)
            lines.append(Line("C6", name, "s", _mean(found), _mean(production), f"<= {limit_s:.3g}", shows))
    return lines


def _herd(size: Size, results: Results) -> list[Line]:
    """Return the lines about old reports, and the tail and largest share at the highest load of the catalogue."""
    lines = []
    for load in size.loads:
        random, herd, production = (results.of(policy, load) for policy in ("random", "least/15", PRODUCTION))
        if ("least/15", load) not in KNOWN_S:
            continue
        alone_s = mm1_wait(load, size.work_s)
        name = f"mean wait at {load:.0%} load / M/M/1's (a random node), without: {label_of('least/15')}"
        lines.append(Line("C6", name, "", _ratio(herd, alone_s), _ratio(production, alone_s), "< 1", "> 1"))
        central_s = erlang_c_wait_percentile(size.nodes, load, size.work_s, 0.99)
        lines.append(
            Line(
                "C6",
                f"99 % wait at most, at {load:.0%} load, without: {label_of('least/15')}",
                "s",
                None if herd is None else herd.p99_s,
                None if production is None else production.p99_s,
                f"<= {2 * central_s + 2 * size.zero_s:.3g}",
                "breaks",
            )
        )
        lines.append(
            Line(
                "C6",
                f"share of the busiest node at {load:.0%} load (fair {100 / size.nodes:g} %), without: random",
                "%",
                None if random is None else random.share_max,
                None if production is None else production.share_max,
            )
        )
    return lines


def _scripts(size: Size, results: Results) -> list[Line]:
    """Return the lines that compare a policy in a file with production, without limits."""
    lines = []
    for policy, load in product(size.scripts, size.loads):
        found, production = results.of(policy, load), results.of(PRODUCTION, load)
        for name, unit, figure in _OF_SCRIPTS:
            without, with_ = (None if one is None else figure(one) for one in (found, production))
            lines.append(Line("C6", f"{name} at {load:.0%} load, without: {label_of(policy)}", unit, without, with_))
    return lines


_OF_SCRIPTS: tuple[tuple[str, str, Callable[[Found], float]], ...] = (
    ("mean wait", "s", lambda found: found.mean_s),
    ("99 % wait at most", "s", lambda found: found.p99_s),
    ("share of the busiest node", "%", lambda found: found.share_max),
    ("checkers broken", "", lambda found: len(found.broken)),
)


def _theory(size: Size, results: Results) -> list[Line]:
    lines = []
    for found in results.long:
        at = f"long run at {found.load:.0%} load"
        near_one = f"{1 - size.theory_part:g} .. {1 + size.theory_part:g}"
        if found.policy != PRODUCTION:
            ratio = found.mean_s / mm1_wait(found.load, size.work_s)
            lines.append(Line("C6", f"{at}: mean wait / M/M/1's, without: random", "", ratio, None, "", near_one))
            continue
        off_ms = None if found.off_s is None else 1000 * found.off_s
        what = f"{at}: maximum difference of a start from the central queue, with"
        lines.append(Line("C6", what, "ms", None, off_ms, f"<= {1000 * TOLERANCE_S:g}"))
        central_s = erlang_c_wait(size.nodes, found.load, size.work_s)
        if central_s >= THEORY_LEAST_S:
            name = f"{at}: mean wait / M/M/{size.nodes}'s, with"
            lines.append(Line("C6", name, "", None, found.mean_s / central_s, near_one))
        else:
            name = f"{at}: mean wait, with (M/M/{size.nodes}: {central_s:.1g} s)"
            lines.append(Line("C6", name, "s", None, found.mean_s, f"<= {central_s + THEORY_LEAST_S:.3g}"))
    return lines


def _checkers(results: Results) -> Line:
    def broken(is_production: bool) -> int | None:
        own = [found for found in results.empty if (found.policy == PRODUCTION) is is_production]
        return sum(len(found.broken) for found in own) if own else None

    return Line("C6", "checkers broken", "", broken(False), broken(True), "== 0", "== 0")


def _near(known_s: float, part: float, zero_s: float) -> str:
    if known_s < NEAR_ZERO_S:
        return f"<= {known_s + zero_s:.3g}"
    return f"{known_s * (1 - part):.3g} .. {known_s * (1 + part):.3g}"


def _mean(found: Found | None) -> float | None:
    return None if found is None else found.mean_s


def _ratio(found: Found | None, to_s: float) -> float | None:
    return None if found is None else found.mean_s / to_s


# ---- C7, C8


def _pair(found: Mapping[str, Figures]) -> list[Line]:
    def both(figure: str) -> tuple[Figure, Figure]:
        return _of(found, WITHOUT, figure), _of(found, WITH, figure)

    return [
        Line("C7", "assignments to a node that doesn't serve the pair", "", *both("wrong"), "== 0", "> 0"),
        Line("C7", "such assignments, of all", "%", *both("wrong_share"), "== 0", "> 0"),
        Line("C7", "jobs that failed because of it", "", *both("failed"), "== 0", "> 0"),
        Line("C7", "jobs that stayed at a node of their pair", "%", *both("stayed"), ">= 80"),
        Line("C7", "checkers broken", "", None, _of(found, WITH, "broken"), "== 0"),
    ]


def _spoiled(found: Mapping[str, Figures]) -> list[Line]:
    from voxpool.scheduler.config import Settings

    settings = Settings()
    rested = 100 * settings.rest_after_failures / (FAILING_RATE_PER_S * settings.rest_s)
    limit = f"<= {PRODUCTION_SPOILED_PART * rested:.2g}"
    with_ = _of(found, WITH, "spoiled_share")
    name = "jobs that one failing node fails, without: "
    return [
        Line("C8", name + "least loaded", "%", _of(found, WITHOUT, "spoiled_share"), with_, limit, ">= 80"),
        Line("C8", name + "two choices", "%", _of(found, TWO_CHOICES, "spoiled_share"), with_, limit, ">= 5"),
        Line("C8", "jobs spoiled", "", _of(found, WITHOUT, "spoiled"), _of(found, WITH, "spoiled"), "> 0"),
        Line("C8", "checkers broken", "", None, _of(found, WITH, "broken"), "== 0"),
    ]


def _of(found: Mapping[str, Figures], side: str, figure: str) -> Figure:
    return found[side][figure] if side in found else math.nan
