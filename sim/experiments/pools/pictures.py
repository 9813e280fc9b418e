"""The pictures of the experiment `pools`: the cost of a choice by the number of nodes and of pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxpool.sim.experiments.pools.size import Point
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, WITHOUT, Picture

NODES, POOLS = "nodes in one pool", "pools"
_SIDES = (
    ("without", "without, on the server", WITHOUT, "line"),
    ("server", "with, on the server", WITH, "line"),
    ("memory", "with, in memory", WITH, "dotted"),
)


def commands_picture(results: Mapping[str, Any]) -> Picture:
    """Draw the commands of a choice by the number of nodes."""
    lines = _lines(results, lambda point: point.commands)
    return curves(
        "commands_by_nodes", "Redis commands of a choice", NODES, "commands (logarithmic)", lines,
        "Without: one for each shard of 100 nodes, up to 1,000. With: the same number at any size.",
        y_scale="log", x_scale="log", markers=True,
    )  # fmt: skip


def time_picture(results: Mapping[str, Any]) -> Picture:
    """Draw the time of a choice by the number of nodes."""
    lines = _lines(results, lambda point: point.us)
    return curves(
        "time_by_nodes", "Time of a choice", NODES, "us (logarithmic)", lines,
        "On the server: the server's count of time in scripts. In memory: the whole call from Python.",
        y_scale="log", x_scale="log", markers=True,
    )  # fmt: skip


def pools_picture(results: Mapping[str, Any]) -> Picture:
    """Draw the time of a choice by the number of pools."""
    drawn = []
    for kind, label, side, style in _SIDES[1:]:
        points: list[Point] = list(results.get(f"size {kind}", ()))
        nodes = points[-1].nodes if points else 0
        spread: dict[int, float] = {point.pools: point.us for point in points if point.nodes == nodes}
        drawn.append(Curve(label, list(spread), list(spread.values()), side, style))  # type: ignore[arg-type]
    return curves(
        "time_by_pools", "Time of a choice, the same nodes in an increasing number of pools", POOLS, "us (logarithmic)",
        drawn, "Each node serves several pairs; each pair has ten nodes.", y_scale="log", x_scale="log", markers=True,
    )  # fmt: skip


def _lines(results: Mapping[str, Any], value: Any) -> list[Curve]:
    drawn = []
    for kind, label, side, style in _SIDES:
        points: list[Point] = [point for point in results.get(f"size {kind}", ()) if point.pools == 1]
        by_nodes: dict[int, float] = {}
        for point in points:
            by_nodes.setdefault(point.nodes, value(point))
        if by_nodes:
            drawn.append(Curve(label, list(by_nodes), list(by_nodes.values()), side, style))  # type: ignore[arg-type]
    return drawn
