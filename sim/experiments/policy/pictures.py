"""The pictures of the experiment `policy`: mean wait, 99 % wait and largest share over the load."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from voxpool.sim.experiments.policy.runs import Found
from voxpool.sim.experiments.policy.script import is_script
from voxpool.sim.experiments.policy.size import POLICIES, PRODUCTION, Size, label_of
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import Picture
from voxpool.sim.report.theory import erlang_c_wait, erlang_c_wait_percentile, mm1_wait, mm1_wait_percentile

COLOURS = {
    "random": "#c0392b",
    "two/exact": "#e9a23b",
    "two/0.5": "#d68910",
    "two/5": "#b9770e",
    "two/15": "#7e5109",
    "least/exact": "#a569bd",
    "least/0.5": "#8e44ad",
    "least/5": "#6c3483",
    "least/15": "#4a235a",
    PRODUCTION: "#1f6fb2",
}
OF_SCRIPTS = ("#117a65", "#0e6655", "#145a32", "#7d6608")
LEAST_S = 0.001
"""Shorter waits are drawn at this value, because the axis is logarithmic."""
STEPS = 60


def mean_picture(size: Size, empty: Iterable[Found], long: Iterable[Found]) -> Picture:
    """Return the mean waits with the curves of theory, and the long runs as points."""

    def central(load: float) -> float:
        return erlang_c_wait(size.nodes, load, size.work_s)

    def alone(load: float) -> float:
        return mm1_wait(load, size.work_s)

    points = [
        Curve(
            f"{_short(policy)}, long runs",
            [found.load for found in long if found.policy == policy],
            [max(LEAST_S, found.mean_s) for found in long if found.policy == policy],
            style="points",
            colour=COLOURS[policy],
        )
        for policy in size.long_policies
        if any(found.policy == policy for found in long)
    ]
    return curves(
        "policy_mean_wait",
        "Mean wait until the work starts",
        "load",
        "seconds (logarithmic)",
        [*_by_policy(empty, lambda found: found.mean_s), *points, *_theory(size, alone, central)],
        f"Lines: {size.jobs:,} jobs from empty, which at high load wait less than in theory's steady state. Points: "
        "long runs without warm-up. Waits below 1 ms are drawn at 1 ms.",
        y_scale="log",
        markers=True,
    )


def p99_picture(size: Size, empty: Iterable[Found]) -> Picture:
    """Return the 99 % wait over the load."""

    def central(load: float) -> float:
        return erlang_c_wait_percentile(size.nodes, load, size.work_s, 0.99)

    def alone(load: float) -> float:
        return mm1_wait_percentile(load, size.work_s, 0.99)

    return curves(
        "policy_p99_wait",
        "99 % of the jobs wait at most",
        "load",
        "seconds (logarithmic)",
        [*_by_policy(empty, lambda found: found.p99_s), *_theory(size, alone, central)],
        f"{size.jobs:,} jobs from empty. Waits below 1 ms are drawn at 1 ms.",
        y_scale="log",
        markers=True,
    )


def share_picture(size: Size, empty: Iterable[Found]) -> Picture:
    """Return the busiest node's share of the jobs over the load."""
    fair = 100.0 / size.nodes
    drawn = _by_policy(empty, lambda found: found.share_max)
    ends = [min(size.loads), max(size.loads)]
    return curves(
        "policy_share",
        "The busiest node's share of the jobs",
        "load",
        "%",
        [*drawn, Curve(f"fair: {fair:g} %", ends, [fair, fair], style="predicted")],
        f"{size.jobs:,} jobs over {size.nodes} equal nodes: by random variation the busiest exceeds the fair share.",
    )


def _by_policy(empty: Iterable[Found], figure: Callable[[Found], float]) -> list[Curve]:
    listed = list(empty)
    drawn = []
    scripts = list(dict.fromkeys(found.policy for found in listed if is_script(found.policy)))
    colours = COLOURS | {policy: OF_SCRIPTS[place % len(OF_SCRIPTS)] for place, policy in enumerate(scripts)}
    for policy in (*POLICIES, *scripts):
        own = sorted((found for found in listed if found.policy == policy), key=lambda found: found.load)
        if own:
            values = [max(LEAST_S, figure(found)) for found in own]
            drawn.append(Curve(_short(policy), [found.load for found in own], values, colour=colours[policy]))
    return drawn


def _short(policy: str) -> str:
    """Return a short label, because the legend has many entries."""
    return label_of(policy).replace("two choices on", "two:").replace("least loaded on", "least:")


def _theory(size: Size, alone: Callable[[float], float], central: Callable[[float], float]) -> list[Curve]:
    drawn = (*size.loads, *size.long_loads)
    least, most = min(drawn), max(drawn)
    loads = [least + (most - least) * step / STEPS for step in range(STEPS + 1)]
    return [
        Curve("M/M/1 a node", loads, [max(LEAST_S, alone(load)) for load in loads], style="predicted"),
        Curve(
            f"M/M/{size.nodes}", loads, [max(LEAST_S, central(load)) for load in loads], style="predicted",
            colour="#7f8c8d",
        ),
    ]  # fmt: skip
