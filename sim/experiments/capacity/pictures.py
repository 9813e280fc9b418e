"""The picture of the experiment `capacity`: the 99 % wait by the number of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, Picture

LEAST_S = 1e-3
"""Shorter waits are drawn at this value, because the axis is logarithmic."""


def curve_picture(p99_s: float, answer: int, points: Sequence[dict[str, Any]]) -> Picture:
    """Draw the simulated waits, theory, the bound, and the answer."""
    nodes = [point["nodes"] for point in points]
    simulated = [max(LEAST_S, point["p99_s"]) for point in points]
    theory = [max(LEAST_S, point["theory_p99_s"]) for point in points]
    ends = [nodes[0], nodes[-1]]
    return curves(
        "capacity",
        f"99 % wait by the number of nodes: {answer:,} are needed",
        "nodes",
        "99 % wait, s (logarithmic)",
        [
            Curve("simulated", nodes, simulated, WITH),
            Curve("theory", nodes, theory, style="predicted"),
            Curve(f"bound: {p99_s:g} s", ends, [max(LEAST_S, p99_s)] * 2, "without", "dotted"),
            Curve("answer", [answer, answer], [LEAST_S, max(simulated)], "", "dotted"),
        ],
        f"Waits below {LEAST_S:g} s are drawn at {LEAST_S:g} s.",
        y_scale="log",
        markers=False,
    )
